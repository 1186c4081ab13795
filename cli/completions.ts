/**
 * Shell completion scripts, made from the catalog.
 *
 * @module
 */

import type { Catalog } from "./catalog.ts";

/** Shells with a script. */
export const SHELLS: readonly string[] = ["bash", "zsh", "fish"];

/** The programs that take these commands. */
const PROGRAMS = ["pilotctl", "pilot"];

/**
 * Writes a completion script.
 *
 * @param shell One of {@linkcode SHELLS}.
 * @param catalog What can be completed.
 * @returns The script.
 */
export function completionScript(shell: string, catalog: Catalog): string {
  if (shell === "fish") return fish(catalog);
  if (shell === "zsh") return `autoload -U +X bashcompinit && bashcompinit\n${bash(catalog)}`;
  return bash(catalog);
}

/** Long flags of a command, the global ones included. */
function flagsOf(catalog: Catalog, name: string): string[] {
  const own = catalog.commands[name]?.options.map(({ flags }) => flags) ?? [];
  return [...own, ...Object.keys(catalog.global_flags)].flatMap((flags) =>
    flags.match(/--[a-z-]+/g) ?? []
  );
}

/** Flags that are followed by a value of their own: it is no command. */
function valueFlags(catalog: Catalog): string[] {
  const all = Object.values(catalog.commands).flatMap(({ options }) => options);
  const flags = [...all.map(({ flags }) => flags), ...Object.keys(catalog.global_flags)];
  return [...new Set(flags.filter((text) => text.includes("<")))].flatMap((text) =>
    text.match(/--[a-z-]+/g) ?? []
  );
}

/** Words that may follow a prefix of command names. */
function wordsAfter(catalog: Catalog, prefix: string): string[] {
  const words = Object.keys(catalog.commands)
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length).split(" ")[0]!);
  return [...new Set(words)];
}

function families(catalog: Catalog): string[] {
  const names = Object.keys(catalog.commands).filter((name) => name.includes(" "));
  return [...new Set(names.map((name) => name.split(" ")[0]!))];
}

function bash(catalog: Catalog): string {
  // A family may be a command itself: sub-commands and flags.
  const names = new Set([...families(catalog), ...Object.keys(catalog.commands)]);
  const cases = Array.from(names, (name) => {
    const isCommand = Object.hasOwn(catalog.commands, name);
    const flags = isCommand ? flagsOf(catalog, name) : [];
    const words = [...wordsAfter(catalog, `${name} `), ...flags];
    return `    "${name}") words="${words.join(" ")}" ;;`;
  });
  return `_pilotctl() {
  local current="\${COMP_WORDS[COMP_CWORD]}" command="" words="" word value=""
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    # bash makes words of their own of the = and : in --home=x and host:port
    case "$word" in =|:) value=1; continue ;; esac
    if [ -n "$value" ]; then value=""; continue; fi
    case "$word" in ${valueFlags(catalog).join("|")}) value=1 ;; -*) ;; *) case " ${
    families(catalog).join(" ")
  } " in
      *" $command "*) command="$command $word" ;;
      *) [ -z "$command" ] && command="$word" ;;
    esac ;; esac
  done
  case "$command" in
    "") words="${wordsAfter(catalog, "").join(" ")}" ;;
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _pilotctl ${PROGRAMS.join(" ")}
`;
}

function fish(catalog: Catalog): string {
  const lines: string[] = [];
  for (const program of PROGRAMS) {
    const complete = `complete -c ${program}`;
    const groups = families(catalog);
    for (const word of wordsAfter(catalog, "")) {
      const description = catalog.commands[word]?.description ?? word;
      lines.push(`${complete} -n __fish_use_subcommand -f -a ${word} -d ${quote(description)}`);
    }
    for (const group of groups) {
      for (const word of wordsAfter(catalog, `${group} `)) {
        const description = catalog.commands[`${group} ${word}`]?.description ?? word;
        lines.push(
          `${complete} -n ${quote(`__fish_seen_subcommand_from ${group}`)} -f -a ${word} -d ${
            quote(description)
          }`,
        );
      }
    }
    for (const name of Object.keys(catalog.commands)) {
      const last = name.split(" ").at(-1)!;
      for (const flag of flagsOf(catalog, name)) {
        lines.push(
          `${complete} -n ${quote(`__fish_seen_subcommand_from ${last}`)} -l ${flag.slice(2)}`,
        );
      }
    }
  }
  return lines.join("\n") + "\n";
}

function quote(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
