/**
 * Scripts with which shells complete the words of this program. They ask the program itself, with the hidden flag `--complete`, so that they know
 * its commands and flags, and the servers of the configuration.
 *
 * @since 0.1.0
 */

/**
 * The shells that there is a script for.
 *
 * @category constants
 * @since 0.1.0
 */
export const shells = ["bash", "zsh", "fish", "powershell"] as const

/**
 * A shell that there is a script for.
 *
 * @category models
 * @since 0.1.0
 */
export type Shell = typeof shells[number]

const bash = String.raw`# Completes the words of mcp-sessions in bash: eval "$(mcp-sessions completions bash)"
_mcp_sessions() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    COMPREPLY+=("$line")
  done < <(mcp-sessions --complete bash "$COMP_WORDBREAKS" "${"${COMP_LINE:0:COMP_POINT}"}" 2>/dev/null)
  if [[ ${"${#COMPREPLY[@]}"} -eq 1 && ${"${COMPREPLY[0]}"} == *[=/] ]]; then
    compopt -o nospace 2>/dev/null
  fi
}
complete -o bashdefault -o default -F _mcp_sessions mcp-sessions
`

const zsh = String.raw`#compdef mcp-sessions
# Completes the words of mcp-sessions in zsh: eval "$(mcp-sessions completions zsh)", after compinit
_mcp_sessions() {
  local -a values open closed
  values=("${"${(@f)$(mcp-sessions --complete zsh \"${(@Q)words[2,CURRENT]}\" 2>/dev/null)}"}")
  values=("${"${(@)values:#}"}")
  open=("${"${(@M)values:#*[=/]}"}")
  closed=("${"${(@)values:#*[=/]}"}")
  (( ${"$#closed"} )) && compadd -- "${"${closed[@]}"}"
  (( ${"$#open"} )) && compadd -S '' -- "${"${open[@]}"}"
  (( ${"$#values"} )) || _files
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _mcp_sessions "$@"
else
  compdef _mcp_sessions mcp-sessions
fi
`

const fish = String
  .raw`# Completes the words of mcp-sessions in fish: save as ~/.config/fish/completions/mcp-sessions.fish
complete -c mcp-sessions -f -a '(mcp-sessions --complete fish (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
`

const powershell = String
  .raw`# Completes the words of mcp-sessions in PowerShell 7.3 and later: mcp-sessions completions powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName mcp-sessions -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $words = @($commandAst.CommandElements | Select-Object -Skip 1 | Where-Object { $_.Extent.StartOffset -lt $cursorPosition } | ForEach-Object { $_.ToString() })
  if ($wordToComplete -eq '') { $words += '' }
  mcp-sessions --complete powershell @words | ForEach-Object {
    $value, $description = $_ -split "${"`t"}", 2
    if (-not $description) { $description = $value }
    $text = if ($value -match '[^\w@%+=:,./-]') { "'" + $value.Replace("'", "''") + "'" } else { $value }
    [System.Management.Automation.CompletionResult]::new($text, $value, 'ParameterValue', $description)
  }
}
`

const scripts: Readonly<Record<Shell, string>> = { bash, zsh, fish, powershell }

/**
 * Returns the script for a shell.
 *
 * @category rendering
 * @since 0.1.0
 */
export const completionScript = (shell: Shell): string => scripts[shell].trimEnd()
