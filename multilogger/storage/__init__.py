"""From accepted batch to durable column file and sealed day: journal, columns, checkpoint, recovery, seal.

:class:`multilogger.storage.store.Store` is the whole of it for callers, and knows no event loop;
:func:`multilogger.storage.writer.run_writer` is the task that drives it. ``docs/storage.md`` has the formats
and what holds when. From the outside in:

============================== ============================================================
``writer``, ``space``          the task: what is done when; room on the disk
``store``, ``opening``         the whole for callers; a start
``committer``, ``numbering``,  the committing side: batches to numbered payloads,
``book``, ``journal``,         appended to the journal as frames, in segments
``segments``
``follower``, ``backlog``      the applying side: what waits, and who is asked to do it
``applier``, ``remote``,       does it: by a call, or in a process of its own
``applying``
``columns``, ``runs``,         the column files of all streams, and of one stream and day;
``partition``, ``shelf``       opened as manifests and files tell of them
``saver``, ``checkpoint``      when the journal before is no longer needed
``recovery``, ``replay``,      a start: reading the journal back, naming what is damaged,
``salvage``, ``quarantine``    and keeping it
``repair``, ``rebuild``,       evening out files; replacing them after a failed disk;
``adoption``                   taking over those of an older archive
``seal``, ``sealing``,         closed days: many, and one; folding late rows in;
``fold``, ``gaps``,            what is missing of them; making them durable; the switch
``syncing``, ``switch``,       to the new files, completed after a stop
``rollforward``
``retention``, ``removal``,    removing days; what there is, by its names
``markers``, ``scan``
``notes``, ``notes_log``,      what is known beside rows; all of it, and for queries
``catalog``,
``catalog_tables``
``frame``, ``payload``,        formats and names
``extent``, ``manifest``,
``streams``, ``layout``
``grouping``                   sorting and joining rows in NumPy
``disk``, ``lock``             every system call; one writer only
============================== ============================================================
"""
