"""Be one command: explained for operators, and ended in their words when they interrupt it."""

from __future__ import annotations

from typing import Any

from typer._click.core import Context
from typer._click.exceptions import BadOptionUsage
from typer._click.formatting import HelpFormatter
from typer.core import TyperArgument, TyperCommand

from reconciler.cli import exits, report
from reconciler.errors import UsageError


class Command(TyperCommand):
    """Name arguments as they are typed, without Python's types."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Read the words behind the command's name; an option that lacks its value is told which one it takes."""
        try:
            return super().parse_args(ctx, args)
        except BadOptionUsage as wrong:
            option = next((one for one in self.params if wrong.option_name in one.opts), None)
            if option is None or getattr(option, "is_flag", False):
                wrong.ctx = wrong.ctx or ctx
                raise
            wanted = f"{wrong.option_name} {option.make_metavar(ctx)}"
            message = f"{wrong.option_name} lacks its value: {wanted}"
            raise UsageError(message, hint=_help_of(ctx)) from None

    def invoke(self, ctx: Context) -> Any:
        """Run it. A command that is interrupted says so, which typer would leave out."""
        try:
            return super().invoke(ctx)
        except UsageError as wrong:
            wrong.hint = wrong.hint or _help_of(ctx)
            raise
        except KeyboardInterrupt:
            report.say("interrupted")
            return exits.INTERRUPTED

    def collect_usage_pieces(self, ctx: Context) -> list[str]:  # noqa: ARG002 - click's shape
        """Give what stands behind the command's name, what may be left out in brackets."""
        arguments = [param for param in self.params if isinstance(param, TyperArgument)]
        return ["[OPTIONS]", *(_usage(argument) for argument in arguments)]

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write what each argument and each option means."""
        arguments = [(_name(one), one.help or "") for one in self.params if isinstance(one, TyperArgument)]
        records = (one.get_help_record(ctx) for one in self.get_params(ctx) if not isinstance(one, TyperArgument))
        if arguments:
            with formatter.section("Arguments"):
                formatter.write_dl(arguments)
        with formatter.section("Options"):
            formatter.write_dl([record for record in records if record is not None])


def _help_of(ctx: Context) -> str:
    return f"{ctx.command_path} --help"


def _name(argument: TyperArgument) -> str:
    return argument.metavar or argument.name or ""


def _usage(argument: TyperArgument) -> str:
    name = _name(argument)
    return name if argument.required else f"[{name}]"
