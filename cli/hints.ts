/**
 * Hints that name commands: these must reach the agent that was meant, and must do no harm.
 *
 * @module
 */

import { type Env, PLACES } from "../platform/settings/mod.ts";

/** What selects the agent: an option, and the variable in its place. */
const AGENT_PLACES = [PLACES.home, PLACES.config, PLACES.socket]
  .map(({ flag, env }) => ({ option: flag!, variable: env }));

/** Values of the options that say which agent is meant, by name without dashes. */
export type Places = Readonly<Partial<Record<string, string>>>;

/** Names of the options whose values {@linkcode withPlaces} needs. */
export const PLACE_OPTIONS: readonly string[] = AGENT_PLACES.map(({ option }) => option);

/**
 * Adds to each command of a hint, other than those on a server (`pilotctl rendezvous`), what the person said about the agent, so that it does not reach another one.
 *
 * @param hint Text with commands, `pilotctl daemon start`.
 * @param given What was given on the command line.
 * @param env The environment, which may have been set for that one command only.
 * @returns The same with for example `pilotctl --home /x daemon start`.
 */
export function withPlaces(hint: string, given: Places, env: Env): string {
  const flags = AGENT_PLACES.flatMap(({ option, variable }) => {
    const value = given[option] ?? (variable === undefined ? undefined : env(variable));
    return value ? [`--${option} ${quoted(value)}`] : [];
  });
  if (flags.length === 0) return hint;
  return hint.replace(/\bpilotctl (?=[a-z])(?!rendezvous )/g, () => `pilotctl ${flags.join(" ")} `);
}

/** As a shell reads it. */
export function quoted(value: string): string {
  return /^[\w./:@%+=-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
}

/** Commands that undo something: nobody who mistyped another one may be led to them. */
const DESTRUCTIVE: readonly string[] = [
  "deregister",
  "untrust",
  "reject",
  "leave",
  "kick",
  "transfer",
  "stop",
];

/** Commands of existing programs, by what there is instead. */
const REPLACED: Readonly<Record<string, string>> = {
  register: "The daemon registers automatically: pilotctl daemon start",
  "rotate-key": "Keys are not rotated by this version.",
  disconnect:
    "Connections end with the programs that hold them; pilotctl untrust NODE cuts all of a peer.",
  traceroute: "See: pilotctl path PEER, pilotctl ping TARGET",
  broadcast: "Send to each member of: pilotctl network members NETWORK",
  "set-webhook": "This version sends no webhooks.",
  "clear-webhook": "This version sends no webhooks.",
  "enable-tasks": "This version has no task service.",
  "disable-tasks": "This version has no task service.",
  task: "This version has no task service; pilotctl send-message carries work between agents.",
  update: "Update with git pull in the clone it was installed from.",
  updates: "Update with git pull in the clone it was installed from.",
  quickstart: "See: pilotctl --help, and the README",
  status: "See: pilotctl daemon status, pilotctl info",
  list: "See: pilotctl peers, pilotctl trust, pilotctl inbox",
  start: "See: pilotctl daemon start",
  stop: "See: pilotctl daemon stop",
  "gateway start": "It runs in the foreground: pilotctl gateway run TARGET",
  "gateway stop": "It runs in the foreground, until Ctrl-C: pilotctl gateway run TARGET",
  "gateway map": "Name the targets when it starts: pilotctl gateway run TARGET...",
  "gateway unmap": "Name the targets when it starts: pilotctl gateway run TARGET...",
  "gateway list": "It prints its mappings when it starts: pilotctl gateway run TARGET",
  "network create": "Networks are created through the SDK: driver.networks.create",
  managed: "This version has no managed networks.",
  policy: "This version has no network policies.",
};

/**
 * What to say about a command that does not exist.
 *
 * @param path What was typed, sub-command included: `gateway start`.
 * @param suggestion What the command line parser suggests: `Did you mean listen?`; may be empty.
 * @returns The hint.
 */
export function unknownCommandHint(path: string, suggestion: string): string {
  const replaced = REPLACED[path];
  if (replaced !== undefined) return replaced;
  const words = suggestion.match(/[a-z][a-z-]*/g)?.slice(3) ?? [];
  const isHarmful = DESTRUCTIVE.some((word) => words.includes(word));
  if (suggestion === "" || isHarmful) return "Add --help to see the usage.";
  return suggestion;
}
