"""``python -m ozzo``: the same as the command ``ozzo``."""

from ozzo.cli import main

if __name__ == "__main__":
    main()
