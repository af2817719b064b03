"""Assemble the command line from its commands, and map what typer says to our exit statuses."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from typer._click.exceptions import ClickException, NoArgsIsHelpError, UsageError

from reconciler import __version__
from reconciler.cli import exits, report
from reconciler.cli.adopt import adopt
from reconciler.cli.apply import apply
from reconciler.cli.canary import canary
from reconciler.cli.command import Command
from reconciler.cli.destroy import destroy
from reconciler.cli.doctor import doctor
from reconciler.cli.host import app as host_app
from reconciler.cli.inspect import app as inspect_app
from reconciler.cli.plan import plan
from reconciler.cli.reap_stale import reap_stale
from reconciler.cli.schema import schema
from reconciler.cli.status import status
from reconciler.cli.validate import validate
from reconciler.show.escape import shown

app = typer.Typer(
    name="reconcile",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit statuses: 0 fine, 1 an error, 2 changes (plan --detailed-exitcode), 3 done in part, 4 the plan is "
    "stale, 5 refused, 6 locked by another pass, 64 wrong usage, 130 interrupted.",
)

for command in (validate, plan, apply, destroy, adopt, canary, reap_stale, status, doctor, schema):
    app.command(cls=Command)(command)
app.add_typer(inspect_app, name="inspect")
app.add_typer(host_app, name="host")


def _version(value: bool) -> None:  # noqa: FBT001 - the shape that typer calls
    if value:
        sys.stdout.write(f"reconcile {__version__}\n")
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Bring Docker hosts, reached over plain SSH, to the state that committed YAML describes."""


def invoke(arguments: list[str]) -> int:
    """Run one command line; wrong usage is 64 and never 2, which means "changes present"."""
    try:
        status_code: object = app(args=arguments, standalone_mode=False)
    except typer.Exit as done:
        return done.exit_code
    except typer.Abort:
        # Only questions end so, and all of them come before anything is changed.
        sys.stderr.write("\n")
        report.say("stopped before anything was changed")
        return exits.INTERRUPTED
    except SystemExit as ended:
        # So a shell's completion ends.
        return ended.code if isinstance(ended.code, int) else exits.ERROR
    except NoArgsIsHelpError as bare:
        sys.stderr.write(f"{bare.format_message()}\n")
        return exits.USAGE
    except UsageError as wrong:
        # The first words are those of the library that checks values.
        sys.stderr.write(f"error: {shown(wrong.format_message().replace('Value error, ', ''))}\n")
        command = "reconcile" if wrong.ctx is None else wrong.ctx.command_path
        sys.stderr.write(f"hint: {command} --help\n")
        return exits.USAGE
    except ClickException as wrong:
        sys.stderr.write(f"error: {shown(wrong.format_message())}\n")
        return exits.USAGE
    return status_code if isinstance(status_code, int) else exits.FINE
