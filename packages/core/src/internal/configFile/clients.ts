/**
 * The table of programs whose configuration files are read: their files, the key of their definitions, and what their keys mean.
 */
import type { Host } from "../../Host.ts"
import type { Client, ClientName } from "./client.ts"
import {
  authMember,
  bearerFromVariable,
  commandOrObject,
  cosmetic,
  envFile,
  headersFromVariables,
  ineffective,
  inheritedVariables,
  oauth,
  plainHeaders,
  renamed,
  type Rule,
  startupAndRequest,
  timeout,
  toolList,
  urlOf,
  variables
} from "./keyRules.ts"

type HostService = Host["Service"]

/** Joins a directory and names, if there is a directory. */
const within = (host: HostService, base: string | undefined, ...names: ReadonlyArray<string>): ReadonlyArray<string> =>
  base === undefined || base === "" ? [] : [names.reduce((path, name) => host.resolve(path, name), base)]

const home = (host: HostService, ...names: ReadonlyArray<string>) => within(host, host.homeDirectory, ...names)

/** The directory of settings of desktop programs. */
const applicationData = (host: HostService, ...names: ReadonlyArray<string>): ReadonlyArray<string> => {
  const { environment, homeDirectory, platform } = host
  switch (platform) {
    case "darwin":
      return home(host, "Library", "Application Support", ...names)
    case "win32":
      return environment.APPDATA === undefined
        ? home(host, "AppData", "Roaming", ...names)
        : within(host, environment.APPDATA, ...names)
    default:
      return xdgConfig({ ...host, homeDirectory }, ...names)
  }
}

/** `$XDG_CONFIG_HOME`, or `~/.config`. */
const xdgConfig = (host: HostService, ...names: ReadonlyArray<string>): ReadonlyArray<string> => {
  const directory = host.environment.XDG_CONFIG_HOME
  return directory === undefined || directory === ""
    ? home(host, ".config", ...names)
    : within(host, directory, ...names)
}

/** A file that a variable names, or the usual ones. */
const named = (host: HostService, variable: string, usual: ReadonlyArray<string>): ReadonlyArray<string> => {
  const path = host.environment[variable]
  return path === undefined || path === "" ? usual : [host.resolve(host.workingDirectory, path)]
}

/** A file in a directory that a variable names, or in the usual one. */
const inNamed = (host: HostService, variable: string, usual: string, file: string): ReadonlyArray<string> => {
  const directory = host.environment[variable]
  return directory === undefined || directory === "" ? home(host, usual, file) : within(host, directory, file)
}

/** Keys that files of any program may have. */
const anyProgram: Readonly<Record<string, Rule>> = {
  $schema: cosmetic,
  alwaysAllow: cosmetic,
  autoApprove: cosmetic,
  category: cosmetic,
  comment: cosmetic,
  description: cosmetic,
  gallery: cosmetic,
  homepage: cosmetic,
  icon: cosmetic,
  name: cosmetic,
  tags: cosmetic,
  title: cosmetic,
  trust: cosmetic,
  version: cosmetic,
  allowedTools: toolList,
  blockedTools: ineffective("all tools of the server can be called"),
  disabledTools: ineffective("all tools of the server can be called"),
  enabledTools: toolList,
  excludeTools: ineffective("all tools of the server can be called"),
  includeTools: toolList,
  tools: toolList,
  auth: oauth,
  authProviderType: ineffective("use \"headers\" or \"auth\""),
  env: variables,
  environment: variables,
  envs: variables,
  envFile,
  headersHelper: ineffective("use \"headers\""),
  oauth,
  sandbox: ineffective("the server runs without a sandbox"),
  sandboxEnabled: ineffective("the server runs without a sandbox"),
  timeout: timeout("requestTimeout", "milliseconds")
}

const mcpServers: ReadonlyArray<ReadonlyArray<string>> = [["mcpServers"], ["servers"]]

const noKeys = { references: "braced" as const, isSettings: false, projectFiles: [], roots: mcpServers }

/** Whether nothing but the switch of an entry is written. */
const isSwitchOnly = (entry: Readonly<Record<string, unknown>>): boolean =>
  Object.keys(entry).every((key) => key === "enabled" || key === "disabled")

export const clients: Readonly<Record<ClientName, Client>> = {
  "mcp-sessions": {
    ...noKeys,
    title: "mcp-sessions",
    projectFiles: ["mcp-sessions.json", "mcp-sessions.jsonc"],
    userFiles: (host) =>
      ["mcp-sessions.json", "mcp-sessions.jsonc"].flatMap((file) => applicationData(host, "mcp-sessions", file)),
    roots: [["servers"], ["mcpServers"]],
    keys: { env: variables, environment: variables, envs: variables, envFile }
  },
  "claude-code": {
    ...noKeys,
    title: "Claude Code",
    projectFiles: [".mcp.json"],
    userFiles: (host) => {
      const directory = host.environment.CLAUDE_CONFIG_DIR
      return directory === undefined || directory === ""
        ? home(host, ".claude.json")
        : within(host, directory, ".claude.json")
    },
    keys: { ...anyProgram, alwaysLoad: cosmetic }
  },
  cursor: {
    ...noKeys,
    title: "Cursor",
    projectFiles: [".cursor/mcp.json"],
    userFiles: (host) => home(host, ".cursor", "mcp.json"),
    keys: anyProgram
  },
  vscode: {
    ...noKeys,
    title: "VS Code",
    projectFiles: [".vscode/mcp.json"],
    userFiles: (host) => applicationData(host, "Code", "User", "mcp.json"),
    roots: [["servers"], ["mcpServers"]],
    keys: { ...anyProgram, dev: cosmetic, gallery: cosmetic }
  },
  codex: {
    ...noKeys,
    title: "Codex",
    isSettings: true,
    projectFiles: [".codex/config.toml"],
    userFiles: (host) => inNamed(host, "CODEX_HOME", ".codex", "config.toml"),
    roots: [["mcp_servers"]],
    keys: {
      ...anyProgram,
      bearer_token: ineffective("Codex refuses it; use \"bearer_token_env_var\""),
      bearer_token_env_var: bearerFromVariable,
      default_tools_approval_mode: cosmetic,
      disabled_tools: ineffective("all tools of the server can be called"),
      enabled_tools: toolList,
      env_http_headers: headersFromVariables,
      env_vars: inheritedVariables,
      http_headers: plainHeaders,
      oauth_resource: ineffective(),
      required: cosmetic,
      scopes: authMember("scope"),
      startup_timeout_ms: timeout("connectTimeout", "milliseconds"),
      startup_timeout_sec: timeout("connectTimeout", "seconds"),
      supports_parallel_tool_calls: cosmetic,
      tool_timeout_sec: timeout("requestTimeout", "seconds"),
      tools: cosmetic
    }
  },
  opencode: {
    ...noKeys,
    title: "OpenCode",
    isSettings: true,
    projectFiles: ["opencode.json", "opencode.jsonc", ".opencode/opencode.json", ".opencode/opencode.jsonc"],
    userFiles: (host) =>
      named(
        host,
        "OPENCODE_CONFIG",
        ["opencode.json", "opencode.jsonc"].flatMap((file) => xdgConfig(host, "opencode", file))
      ),
    roots: [["mcp", "servers"], ["mcp"]],
    references: "withFiles",
    keys: { ...anyProgram, timeout: startupAndRequest },
    // An entry without a type changes a server of the organization.
    isProvided: ({ command, type, url }) => type === undefined && command === undefined && url === undefined
  },
  gemini: {
    ...noKeys,
    title: "Gemini CLI",
    isSettings: true,
    projectFiles: [".gemini/settings.json"],
    userFiles: (host) => home(host, ".gemini", "settings.json"),
    roots: [["mcpServers"]],
    references: "bare",
    keys: {
      ...anyProgram,
      extensionName: cosmetic,
      httpUrl: urlOf("streamable_http"),
      targetAudience: ineffective("use \"headers\" or \"auth\""),
      targetServiceAccount: ineffective("use \"headers\" or \"auth\""),
      url: urlOf("sse")
    }
  },
  "copilot-cli": {
    ...noKeys,
    title: "Copilot CLI",
    projectFiles: [".github/mcp.json"],
    userFiles: (host) => inNamed(host, "COPILOT_HOME", ".copilot", "mcp-config.json"),
    references: "bare",
    keys: { ...anyProgram, filterMapping: cosmetic, isDefaultServer: cosmetic, source: cosmetic }
  },
  zed: {
    ...noKeys,
    title: "Zed",
    isSettings: true,
    projectFiles: [".zed/settings.json"],
    userFiles: (host) =>
      host.platform === "win32"
        ? applicationData(host, "Zed", "settings.json")
        : xdgConfig(host, "zed", "settings.json"),
    roots: [["context_servers"]],
    keys: {
      ...anyProgram,
      command: commandOrObject,
      remote: cosmetic,
      settings: cosmetic,
      source: cosmetic,
      timeout: timeout("requestTimeout", "seconds")
    },
    // An extension of the editor brings the command.
    isProvided: (entry) =>
      entry.source === "extension" ||
      entry.command === undefined && entry.url === undefined && (entry.settings !== undefined || isSwitchOnly(entry))
  },
  "claude-desktop": {
    ...noKeys,
    title: "Claude Desktop",
    isSettings: true,
    userFiles: (host) => applicationData(host, "Claude", "claude_desktop_config.json"),
    keys: anyProgram
  },
  windsurf: {
    ...noKeys,
    title: "Windsurf",
    userFiles: (host) => home(host, ".codeium", "windsurf", "mcp_config.json"),
    keys: { ...anyProgram, registry: cosmetic }
  },
  cline: {
    ...noKeys,
    title: "Cline",
    userFiles: (host) =>
      named(host, "CLINE_MCP_SETTINGS_PATH", [
        ...home(host, ".cline", "data", "settings", "cline_mcp_settings.json"),
        ...applicationData(
          host,
          "Code",
          "User",
          "globalStorage",
          "saoudrizwan.claude-dev",
          "settings",
          "cline_mcp_settings.json"
        )
      ]),
    keys: {
      ...anyProgram,
      remoteConfigured: cosmetic,
      timeout: timeout("requestTimeout", "seconds"),
      transportType: renamed("transport")
    }
  }
}
