"""``python -m multilogger``."""

import sys

from multilogger.cli.main import main

sys.exit(main())
