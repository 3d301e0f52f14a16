/**
 * Writes `examples/grafana.json`, a dashboard for Grafana (`pnpm dashboard`). The types are those of the schema of Grafana, so the compiler checks
 * the dashboard.
 */
import {
  type Dashboard,
  type DataSourceRef,
  LegendDisplayMode,
  type Panel,
  SortOrder,
  TooltipDisplayMode,
  VariableRefresh
} from "@grafana/schema"
import type { Options } from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { metrics } from "../packages/core/src/Telemetry.ts"

/** A query of a panel. The schema leaves what a data source is asked to the data source. */
interface PrometheusQuery {
  readonly datasource: DataSourceRef
  readonly expr: string
  readonly legendFormat: string
  readonly refId: string
}

/** A query: its legend, and its expression. */
type Query = readonly [legend: string, expr: string]

const datasource: DataSourceRef = { type: "prometheus", uid: "${source}" }

const ofServer = "mcp_server=~\"$server\""

/** The interval that Grafana chooses for rates. */
const interval = "[$__rate_interval]"

type Counted = Exclude<keyof typeof metrics, "operationDuration" | "sessionDuration">

/** The rate of a counter by server. */
const rate = (metric: Counted): string => `sum by (mcp_server) (rate(${metrics[metric].id}{${ofServer}}${interval}))`

/** A gauge by server. */
const gauge = (metric: Counted): string => `sum by (mcp_server) (${metrics[metric].id}{${ofServer}})`

/**
 * A part of a histogram. A collector appends the unit to the name, and the text of `PrometheusMetrics` does not.
 */
const histogram = (options: {
  readonly metric: "operationDuration" | "sessionDuration"
  readonly part: "bucket" | "count" | "sum"
  readonly where?: string
}): string => {
  const { metric, part, where = "" } = options
  return `{__name__=~"${metrics[metric].id.replaceAll(".", "_")}(_seconds)?_${part}",${ofServer}${where}}`
}

const operations = (part: "bucket" | "count" | "sum", where?: string): string =>
  histogram({ metric: "operationDuration", part, ...(where === undefined ? {} : { where }) })

const tools = "gen_ai_tool_name"
const ofTools = `,${tools}!=""`

const server = "{{mcp_server}}"

/** The panels, in two columns. */
const panels: ReadonlyArray<{
  readonly title: string
  readonly description?: string
  readonly unit: string
  readonly queries: ReadonlyArray<Query>
}> = [
  {
    title: "Operations",
    description: "Operations of programs per second",
    unit: "ops",
    queries: [[server, rate("operations")]]
  },
  {
    title: "Failed requests",
    description: "By the code of a JSON-RPC error, tool_error, or the reason",
    unit: "reqps",
    queries: [[
      `${server} {{error_type}}`,
      `sum by (mcp_server, error_type) (rate(${operations("count", ",error_type!=\"\"")}${interval}))`
    ]]
  },
  {
    title: "Duration of requests, 95 %",
    unit: "s",
    queries: [[
      server,
      `histogram_quantile(0.95, sum by (le, mcp_server) (rate(${operations("bucket")}${interval})))`
    ]]
  },
  {
    title: "Slowest tools, mean",
    unit: "s",
    queries: [[
      `{{${tools}}}`,
      `topk(10, sum by (${tools}) (rate(${operations("sum", ofTools)}${interval})) / ` +
      `sum by (${tools}) (rate(${operations("count", ofTools)}${interval})))`
    ]]
  },
  { title: "In flight", unit: "short", queries: [[server, gauge("inFlight")]] },
  {
    title: "Retries and fallbacks",
    unit: "ops",
    queries: [[`${server} retries`, rate("retries")], [`${server} fallbacks`, rate("fallbacks")]]
  },
  {
    title: "Connections",
    unit: "cps",
    queries: [
      [`${server} attempts`, rate("connects")],
      [`${server} losses`, rate("losses")],
      [`${server} reconnects`, rate("reconnects")]
    ]
  },
  { title: "Open circuits", unit: "short", queries: [[server, gauge("openCircuits")]] },
  {
    title: "Queued and refused",
    unit: "reqps",
    queries: [[`${server} queued`, rate("queued")], [`${server} refused`, rate("refused")]]
  },
  {
    title: "Pools",
    unit: "short",
    queries: [
      [`${server} leased`, gauge("poolLeased")],
      [`${server} open`, gauge("poolSessions")],
      [`${server} waiting`, gauge("poolWaiting")]
    ]
  },
  {
    title: "Lifetime of connections, median",
    unit: "s",
    queries: [[
      server,
      `histogram_quantile(0.5, sum by (le, mcp_server) (rate(${
        histogram({ metric: "sessionDuration", part: "bucket" })
      }[1h])))`
    ]]
  },
  {
    title: "Unclean closes and dropped notifications",
    unit: "ops",
    queries: [
      [`${server} unclean closes`, rate("cleanupFailures")],
      [`${server} dropped notifications`, rate("droppedNotifications")]
    ]
  }
]

const options: Options = {
  legend: { calcs: [], displayMode: LegendDisplayMode.List, placement: "bottom", showLegend: true },
  tooltip: { mode: TooltipDisplayMode.Multi, sort: SortOrder.Descending }
}

const panelOf = ({ description, queries, title, unit }: typeof panels[number], index: number): Panel => ({
  id: index + 1,
  type: "timeseries",
  title,
  ...(description === undefined ? {} : { description }),
  datasource,
  gridPos: { h: 8, w: 12, x: index % 2 * 12, y: Math.floor(index / 2) * 8 },
  fieldConfig: { defaults: { unit }, overrides: [] },
  options: { ...options },
  targets: queries.map(([legendFormat, expr], query): PrometheusQuery & Record<string, unknown> => ({
    datasource,
    expr,
    legendFormat,
    refId: String.fromCharCode("A".charCodeAt(0) + query)
  }))
})

/** The dashboard. */
export const dashboard: Dashboard = {
  title: "MCP sessions",
  uid: "mcp-sessions",
  schemaVersion: 39,
  tags: ["mcp"],
  editable: true,
  refresh: "30s",
  time: { from: "now-1h", to: "now" },
  templating: {
    list: [
      { name: "source", label: "Source", type: "datasource", query: "prometheus" },
      {
        name: "server",
        label: "Server",
        type: "query",
        datasource,
        query: `label_values(${metrics.operations.id}, mcp_server)`,
        includeAll: true,
        multi: true,
        refresh: VariableRefresh.onTimeRangeChanged,
        current: { text: "All", value: "$__all" }
      }
    ]
  },
  panels: panels.map(panelOf)
}

if (process.argv[1] === import.meta.filename) {
  writeFileSync(join(import.meta.dirname, "../examples/grafana.json"), `${JSON.stringify(dashboard, null, 2)}\n`)
}
