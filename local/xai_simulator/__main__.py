"""`python -m xai_simulator`: the same command as `videoconductor simulator`."""

from xai_simulator.command import main

main()
