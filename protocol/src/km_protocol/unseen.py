r"""Characters that do not show: what a hostile text hides in them is to be seen.

    UNSEEN.sub(spelled_out, "read\u200b_file")

All of Unicode's `Default_Ignorable_Code_Point` (zero-width, fillers, variation selectors, direction overrides, tags)
but U+FE0F, which honest emoji end with; the controls but tab and line feed; the line and paragraph separators; U+2800,
the blank of Braille; and lone surrogates.
"""

from __future__ import annotations

import re

UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u2800\u3164\ud800-\udfff\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
