/**
 * The examples in the help of `serve`.
 */

export const serveExamples: ReadonlyArray<{ readonly command: string; readonly description: string }> = [
  { command: "mcp-sessions serve", description: "Serve all servers on a free port of this machine" },
  {
    command: "mcp-sessions serve github files --port 3000 --exclude 'files/write_*'",
    description: "Serve two servers at http://127.0.0.1:3000/mcp, without some of their tools"
  },
  {
    command: "mcp-sessions serve -- npx -y @modelcontextprotocol/server-everything",
    description: "Serve one server that is in no configuration file"
  },
  { command: "mcp-sessions serve --ui", description: "Serve all servers and the dashboard page" },
  {
    command: "mcp-sessions serve --stdio",
    description: "Serve all servers on stdin and stdout to the program that starts the command"
  },
  {
    command: "mcp-sessions serve --host 0.0.0.0 --port 3000 --tokens tokens.json",
    description: "Serve other machines, with a token for each principal"
  },
  {
    command:
      "mcp-sessions serve --port 3000 --issuer https://auth.example.com --public-url https://mcp.example.com/mcp",
    description: "Serve users who sign in at an authorization server, behind a proxy"
  },
  {
    command: "mcp-sessions serve --port 3000 --tokens tokens.json --audit 2> audit.log",
    description: "Write a line of JSON for each call to a file, among the other lines of stderr"
  },
  {
    command: "mcp-sessions serve --port 3000 --sealed --session-key session.key",
    description: "Run as one of several processes that share a key, behind a load balancer"
  },
  {
    command:
      "mcp-sessions serve --cluster --session-key session.key --node-host 10.0.0.5 --node-tls ca.pem,cert.pem,key.pem",
    description: "Run as a node of a cluster, with the database in MCP_SESSIONS_DATABASE_URL"
  },
  {
    command: "mcp-sessions serve --port 3000 --tokens tokens.json --redis redis://10.0.0.2:6379",
    description: "Share rates of clients and servers, and circuits, with other processes"
  }
]
