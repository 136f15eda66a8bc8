"""The recorded data as others see it: reading it as rows, and proving that it is whole.

Nothing here writes, takes the writer's lock or knows an event loop; all of it works beside a running logger.

============= =====================================================================
``reader``    symbols, days and rows
``verify``    every file against the rules, its manifest and the journal
``snapshot``  a day's files at one moment, whatever is being written to them
``tree``      what is in the data path, by the names of directories and files
``instants``  what people write for a time, in nanoseconds
============= =====================================================================
"""
