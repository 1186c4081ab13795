/**
 * `init`, `config`, `context`, `version`, `completions` (docs/protocol/command-line.md §4).
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import type { Settings } from "../../platform/mod.ts";
import { VERSION } from "../../platform/version.ts";
import { catalog } from "../catalog.ts";
import { completionScript, SHELLS } from "../completions.ts";
import { usageError } from "../command_failure.ts";
import type { Invocation } from "../invocation.ts";
import { fields, type Outcome } from "../output.ts";
import { oneOf, parseHostname } from "../parse.ts";
import { joinCommand } from "./join_commands.ts";
import type { CommandGroup } from "../spec.ts";
import { lines, safe, safeJson, SafeText } from "../terminal_text.ts";

async function init(call: Invocation): Promise<Outcome> {
  const { updateConfigFile } = await import("../../platform/settings/mod.ts");
  const settings = await call.settings();
  keepPins(settings);
  const hostname = call.options.text("hostname");
  const socket = call.options.text("socket");
  const stored = await updateConfigFile(settings.configPath, {
    registry: settings.registry,
    beacon: settings.beacon,
    // Not written unless asked for: by default it follows the home directory.
    ...(socket === undefined ? {} : { socket: settings.socket }),
    ...(hostname === undefined ? {} : { hostname }),
  });
  const data = {
    config_path: settings.configPath,
    registry: settings.registry,
    beacon: settings.beacon,
    socket: settings.socket,
    hostname: stored.hostname ?? "",
  };
  const text = fields([
    ["Config", data.config_path],
    ["Registry", data.registry],
    ["Beacon", data.beacon],
    ["Socket", data.socket],
    ["Hostname", data.hostname],
  ]);
  return { data, text: safe`${text}\n${call.hint("Next: pilotctl daemon start")}` };
}

/** Pins belong to the registry that they are stored with: another one would only be refused. */
function keepPins({ config, registry }: Settings): void {
  const { registryFingerprint, registryKey } = config;
  const isPinned = registryFingerprint !== undefined || registryKey !== undefined;
  if (!isPinned || config.registry === undefined || config.registry === registry) return;
  throw new PilotError(
    "invalid_state",
    `The config file pins the registry ${config.registry}, not ${registry}`,
    {
      hint:
        "Join the other one with the URI of its operator (pilotctl join), or remove the pins first: " +
        "pilotctl config --unset registry_tls --unset registry_fingerprint --unset registry_key",
    },
  );
}

async function config(call: Invocation): Promise<Outcome> {
  const set = call.options.list("set");
  const unset = call.options.list("unset");
  if (set.length > 0 || unset.length > 0) return await changeConfig(call, set, unset);
  const { isSecretKey } = await import("../../platform/settings/mod.ts");
  const settings = await call.settings();
  const stored = Object.entries(settings.rawConfig).map(([key, value]) =>
    [key, isSecretKey(key) && value ? "(hidden)" : value] as const
  );
  const data = {
    ...Object.fromEntries(stored),
    config_path: settings.configPath,
    pid_file: settings.pidPath,
    log_file: settings.logPath,
    home: settings.home,
    registry: settings.registry,
    beacon: settings.beacon,
    socket: settings.socket,
    sources: settings.sources,
  };
  return { data, text: configText(settings, stored) };
}

function configText(
  settings: Settings,
  stored: readonly (readonly [string, unknown])[],
): SafeText {
  const { sources } = settings;
  const places = fields([
    ["home", `${settings.home}  (${sources.home})`],
    ["registry", `${settings.registry}  (${sources.registry})`],
    ["beacon", `${settings.beacon}  (${sources.beacon})`],
    ["socket", `${settings.socket}  (${sources.socket})`],
    ["config", settings.configPath],
    ["pid file", settings.pidPath],
    ["log", settings.logPath],
  ]);
  const others = stored.filter(([key]) => !(key in sources));
  if (others.length === 0) return places;
  const text = (value: unknown) => typeof value === "string" ? value : JSON.stringify(value);
  const rest = fields(others.map(([key, value]) => [key, text(value)]));
  return safe`${places}\n\nAlso in the config file:\n${rest}`;
}

async function changeConfig(
  call: Invocation,
  set: readonly string[],
  unset: readonly string[],
): Promise<Outcome> {
  const { canonicalKey, configKeys, parseConfigValue, readRawConfig, updateConfigFile } =
    await import("../../platform/settings/mod.ts");
  const changed: { key: string; value: unknown }[] = [];
  for (const assignment of set) {
    const equals = assignment.indexOf("=");
    if (equals <= 0) {
      throw usageError(
        `Not key=value: "${assignment}"`,
        "Example: pilotctl config --set hostname=alice",
      );
    }
    const value = parseConfigValue(assignment.slice(0, equals), assignment.slice(equals + 1));
    changed.push(value);
  }
  // A file with a value that does not fit is what this command corrects.
  const settings = await call.settingsWithoutConfig();
  const stored = readRawConfig(settings.configPath);
  for (const key of unset) {
    // What others have left in the file can be removed, too; a misspelt key must not look like one.
    const isThere = Object.hasOwn(stored, key);
    const name = isThere ? key : canonicalKey(key);
    const isKnown = configKeys().includes(canonicalKey(key));
    if (!isThere && !isKnown) {
      throw usageError(
        `Unknown config key "${key}", and the config file has none of that name`,
        `Known keys: ${configKeys().join(", ")}.`,
      );
    }
    changed.push({ key: isKnown ? canonicalKey(key) : name, value: undefined });
  }
  await updateConfigFile(
    settings.configPath,
    Object.fromEntries(changed.map(({ key, value }) => [key, value])),
  );
  const list = changed.map(({ key, value }) => ({ key, value: value ?? null }));
  return {
    data: { ...list[0], changed: list, config_path: settings.configPath },
    text: lines(
      list.map(({ key, value }) => value === null ? `${key} removed` : `${key} = ${String(value)}`),
    ),
  };
}

function context(call: Invocation): Outcome {
  const name = call.args.join(" ");
  let root = call.command;
  while (root.parent !== null) root = root.parent;
  const all = catalog(root);
  if (name === "") return { data: all, text: safeJson(all, 2) };
  const entry = all.commands[name];
  if (entry === undefined) {
    throw usageError(`Unknown command "${name}"`, "See: pilotctl context");
  }
  const data = { command: name, ...entry };
  return { data, text: safeJson(data, 2) };
}

function version(): Outcome {
  const { os, arch } = Deno.build;
  return {
    data: { version: VERSION, runtime: `deno ${Deno.version.deno}`, os, arch },
    text: VERSION,
  };
}

function completions(call: Invocation): Outcome {
  const shell = oneOf(...SHELLS)(call.arg(0, "shell"));
  let root = call.command;
  while (root.parent !== null) root = root.parent;
  const script = completionScript(shell, catalog(root));
  return { data: { shell, script }, text: new SafeText(script) };
}

/** Gathers the values of an option that may be given several times. */
function repeated(): (text: string) => string[] {
  const values: string[] = [];
  return (text) => {
    values.push(text);
    return values;
  };
}

/** First steps. */
export const setupGroup: CommandGroup = {
  title: "Set up",
  commands: [
    {
      name: "init",
      summary: "Write registry and beacon (and any other given option) to the config file",
      options: [{
        flags: "--hostname <name>",
        description: "Hostname to register",
        parse: parseHostname,
      }],
      examples: ["init --registry registry.example.org:9000 --beacon registry.example.org:9001"],
      returns: "config_path, registry, beacon, socket, hostname",
      run: init,
    },
    joinCommand,
    {
      name: "config",
      summary: "Show the settings and where each comes from, or change the config file",
      options: [
        {
          flags: "--set <key=value>",
          description: "Store a value (repeatable)",
          collect: repeated,
        },
        { flags: "--unset <key>", description: "Remove a value (repeatable)", collect: repeated },
      ],
      examples: [
        "config",
        "config --set public=true --set log_level=debug",
        "config --unset hostname",
      ],
      returns:
        "The stored keys, home, registry, beacon, socket, config_path, pid_file, log_file, sources; with --set or --unset: key, value, changed",
      run: config,
    },
    {
      name: "context",
      summary: "Describe every command, error code and setting for machines",
      args: "[command...]",
      examples: ["context", "context send-message", "context daemon start"],
      returns: "version, commands, error_codes, global_flags, environment, config_file",
      run: context,
    },
    {
      name: "completions",
      summary: "Print a completion script for bash, zsh or fish",
      args: "<shell>",
      examples: ["completions bash > /etc/bash_completion.d/pilotctl"],
      returns: "shell, script",
      run: completions,
    },
    {
      name: "version",
      summary: "Show the version",
      examples: ["version"],
      returns: "version, runtime, os, arch",
      run: version,
    },
  ],
};
