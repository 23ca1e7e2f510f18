"""`python -m landscape_audit`."""

from landscape_audit.cli.main import main

if __name__ == "__main__":
    main()
