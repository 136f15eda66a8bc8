"""From accepted batch to durable column file: journal, columns, checkpoint, recovery.

:class:`multilogger.storage.store.Store` is the whole of it for callers, and knows no event loop;
:func:`multilogger.storage.writer.run_writer` is the task that drives it. ``docs/storage.md`` has the formats
and what holds when. From the outside in:

============================ =========================================================
``store``, ``writer``        commit, apply, checkpoint, and when
``recovery``, ``repair``     a start: replay, and evening out files
``numbering``, ``book``      rows to numbered payloads
``journal``, ``segments``,   appending frames, their files, reading them back
``replay``
``columns``, ``partition``   the column files of all streams, and of one stream and day
``saver``, ``checkpoint``    when the journal before is no longer needed
``payload``, ``frame``,      formats and names
``streams``, ``layout``
``grouping``                 sorting and joining rows in NumPy
``disk``, ``lock``           every system call; one writer only
============================ =========================================================
"""
