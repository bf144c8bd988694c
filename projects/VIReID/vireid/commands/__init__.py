"""The command ``vireid``: a module for each of its words.

A command is a module that an entry point of the group ``fastreid_vi.commands`` names, of this package or of
another one. It holds

- a docstring, whose first line is what ``vireid --help`` says of the command;
- ``EXAMPLES``, text below the help of its arguments;
- ``add_arguments(parser)``;
- ``run(args)``, which returns the exit status, or None for 0. A ``UserError`` or an ``OSError`` that it
  raises is shown as one line, and the exit status is then 2. ``args.command`` is the list of all words;
- ``interrupted(args)``, where there is more to say after Ctrl-C than "interrupted".

Its file imports large packages in its functions alone, so that help comes at once.
"""
