"""The recorded data as others see it: reading it as rows, and proving that it is whole.

Nothing here writes, or knows an event loop; all of it works beside a running logger.

============================== ====================================================================
``reader``, ``merging``        symbols, days and rows; a day's rows with the late ones among them
``coverage``, ``intervals``,   how much of the time was recorded, told from intervals of which the
``coverage_report``            latest word counts; sums, and the worst gaps
``instruments``, ``contracts`` what was listed at any time; sizes in base currency
``verify``, ``report``         everything against the rules; what was found
``inventory``, ``structure``,  names; lengths; rows and manifests; the rules for values
``contents``, ``values``
``journal``, ``checkpoints``   frames that are damaged or missing; what the checkpoint says of files
``snapshot``                   a day's files at one moment, whatever is being written to them
``tree``, ``instants``         what is in a data path, by its names; times as people write them
``running``                    whether a logger runs, and until when one did
============================== ====================================================================
"""
