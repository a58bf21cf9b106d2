#!/bin/sh
# Mails the end of a sweep, with all facts as JSON.
#
#     MAIL_TO=you@example.org coordinator serve --on-final examples/on-final/mail.sh
set -eu
exec mail -s "$PRETEXT_SWEEP $PRETEXT_OUTCOME" "$MAIL_TO"
