"""The command line as ``python -m mmopt``."""

from mmopt.cli import main

if __name__ == "__main__":
    main()
