#!/bin/sh
# Posts the end of a sweep to a chat, through an incoming webhook (Slack, Mattermost, and others take the same message).
#
#     CHAT_WEBHOOK=https://… coordinator serve --on-final examples/on-final/chat.sh
#
# An event may come twice after a crash, with the same PRETEXT_EVENT. A failed post is tried again by the coordinator.
set -eu
text="$PRETEXT_SWEEP $PRETEXT_OUTCOME: $PRETEXT_SUCCEEDED cells succeeded, $PRETEXT_FAILED failed, $PRETEXT_CANCELLED cancelled"
exec curl --fail --silent --show-error --max-time 30 \
    --header 'Content-Type: application/json' --data "{\"text\": \"$text\"}" "$CHAT_WEBHOOK"
