/**
 * The settings as a document for people.
 *
 * @module
 */

import { DAEMON, PLACES } from "../../platform/settings/mod.ts";
import { GATEWAY, RENDEZVOUS, SECRETS } from "../../platform/settings/server_table.ts";
import { configKey, type Setting, type SettingTable } from "../../platform/settings/setting.ts";

/** A chapter: heading, what it says first, table. */
type Chapter = readonly [heading: string, text: string, table: SettingTable];

/** The chapters. */
export const CHAPTERS: readonly Chapter[] = [
  ["Every program", "Where things are; every command takes these.", PLACES],
  ["Daemon", "`pilotctl daemon run` and `daemon start`.", DAEMON],
  ["Rendezvous", "`pilotctl rendezvous run`. None of them stands in `config.json`.", RENDEZVOUS],
  ["Gateway", "`pilotctl gateway run`. None of them stands in `config.json`.", GATEWAY],
  ["Secrets", "In variables only: command lines can be read by every user of a machine.", SECRETS],
];

const HEAD = `<!-- deno-fmt-ignore-file -->
<!-- Made from the tables by \`deno task settings\`; a test compares the two. Change the tables, not this file. -->

# Settings

A value is taken from the option, then from the environment variable, then from \`config.json\` in the
home directory (\`pilotctl config --set KEY=VALUE\`), then from the default. Keys may be spelled with
\`-\` or \`_\`; unknown ones are kept and ignored. Durations are \`500ms\`, \`30s\`, \`2m\`, \`1h\`, or a number
of seconds; endpoints \`host:port\`, IPv6 addresses in brackets.
`;

/** The text of docs/SETTINGS.md. */
export function settingsDocument(chapters: readonly Chapter[] = CHAPTERS): string {
  return [HEAD, ...chapters.map(chapterText)].join("\n");
}

function chapterText([heading, text, table]: Chapter): string {
  const rows = Object.values(table).map(rowOf);
  const titles = ["option", "variable", "key", "default", "what"];
  return `## ${heading}\n\n${text}\n\n${
    [titles, titles.map(() => "---"), ...rows].map(line).join("\n")
  }\n`;
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

function rowOf(setting: Setting<unknown>): string[] {
  const { flag, env, type, help, helpOff } = setting;
  const value = type.metavar === undefined ? "" : ` <${type.metavar}>`;
  const options = flag === undefined
    ? ""
    : type.switch === "either"
    ? `\`--${flag}\`, \`--no-${flag}\``
    : `\`--${flag}${value}\``;
  const what = helpOff === undefined ? help : `${help}; or: ${helpOff}`;
  const choices = type.choices === undefined ? "" : `: ${type.choices.join(", ")}`;
  return [options, code(env), code(configKey(setting)), defaultOf(setting), what + choices];
}

function code(text: string | undefined): string {
  return text === undefined ? "" : `\`${text}\``;
}

function defaultOf({ default: value, defaultText, type }: Setting<unknown>): string {
  if (defaultText !== undefined) return defaultText;
  if (value === undefined) return "";
  return type.switch === undefined ? type.format(value) : value === true ? "on" : "off";
}
