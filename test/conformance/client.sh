# The client that the official conformance suite drives: `client.sh URL`, in an environment that names the scenario.
#
# The scenario runs in the process that listens in CONFORMANCE_DIRECTORY (suite.ts). This one loads nothing, so that it starts at once: the suite
# starts all clients at the same time. It announces a file with the scenario, and waits for a line: empty, or the failure.
request=$CONFORMANCE_DIRECTORY/$$
printf '%s\n' "$1" "$MCP_CONFORMANCE_SCENARIO" "$MCP_CONFORMANCE_PROTOCOL_VERSION" "$MCP_CONFORMANCE_CONTEXT" > "$request"
mkfifo "$request.reply"
# Open for both, so that neither side waits for the other to open it.
exec 3<> "$request.reply"
echo $$ > "$CONFORMANCE_DIRECTORY/requests"
read -r failure <&3
test -z "$failure" && exit 0
printf '%s\n' "$failure" >&2
exit 1
