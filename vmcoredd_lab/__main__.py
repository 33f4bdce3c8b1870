"""``python -m vmcoredd_lab`` is the program ``vmcoredd-lab``."""

from vmcoredd_lab.cli import main

if __name__ == "__main__":
    main()
