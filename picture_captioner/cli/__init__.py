"""What a person types and reads.

caption_app.py     `caption.py`: the command line; its groups of commands are in command_groups.py
                   and people_app.py
report_app.py      `cluster_report.py`: the command line of the report
commands/          what each command does: it wires the parts and tells the person
flags.py           from declarations to flags: run_flags.py, command_flags.py and the settings in
                   picture_captioner/settings.py
execution.py       every foreseen error becomes a sentence on stderr and an exit code
terminal.py        sentences on stderr, data on stdout
progress.py        the progress of a run
interrupts.py      Ctrl+C, SIGTERM and SIGHUP
logs.py            caption.log
program.py         how the person called this program
quiet_start.py     Ctrl+C while the program loads
"""
