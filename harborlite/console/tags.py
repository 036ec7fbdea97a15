"""What templates can say beside Django's own words: icons, sizes, times, digests, and text to copy."""

from datetime import datetime

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext as _

register = template.Library()

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
STEP = 1024
SHORT = 12  # characters of a digest


@register.simple_tag
def icon(name: str, kind: str = "") -> SafeString:
    """A symbol of static/icons.svg, which says nothing that the text beside it does not say."""
    address = f"{static('icons.svg')}#{name}"
    return format_html('<svg class="icon {}" aria-hidden="true"><use href="{}"></use></svg>', kind, address)


@register.filter
def size(count: int | None) -> str:
    """Bytes in the unit that people read."""
    if count is None:
        return "-"
    value, unit = float(count), 0
    while value >= STEP and unit < len(UNITS) - 1:
        value, unit = value / STEP, unit + 1
    digits = 0 if unit == 0 or value >= 100 else 1
    return f"{value:.{digits}f} {UNITS[unit]}"


@register.filter
def ago(moment: datetime | None) -> SafeString | str:
    """How long ago, with the time itself behind the mouse; "never" for none."""
    if moment is None:
        return _("never")
    if (timezone.now() - moment).total_seconds() < 60:
        told = _("just now")
    else:
        told = _("%(time)s ago") % {"time": timesince(moment, depth=1)}
    written = moment.isoformat(timespec="seconds")
    return format_html('<time datetime="{}" title="{}">{}</time>', written, written, told)


@register.filter
def short(digest: str) -> str:
    """The beginning of a digest, without its algorithm."""
    return digest.partition(":")[2][:SHORT] or digest


@register.simple_tag
def copy(text: str, what: str = "") -> SafeString:
    """A button that copies `text`; it appears where a browser can."""
    label = what or _("Copy")
    return format_html(
        '<button type="button" class="copy" hidden data-copy="{}" data-copied="{}" aria-label="{}">{}</button>',
        text,
        _("Copied"),
        label,
        icon("copy", "icon-small"),
    )


@register.simple_tag
def command(text: str) -> SafeString:
    """A line for a terminal, to be copied."""
    return format_html('<div class="command"><code>{}</code>{}</div>', text, copy(text, _("Copy the command")))
