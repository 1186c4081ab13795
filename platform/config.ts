/**
 * `config.json`: a flat JSON object in the home directory (daemon.md §9.1, services-cli.md §6.3).
 *
 * Known keys are checked; unknown ones (of other implementations or later versions) are kept and ignored.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import * as v from "valibot";
import { PilotError } from "../protocol/errors.ts";
import { parseDuration } from "./duration.ts";
import { PLAIN_REGISTRY, type PlainRegistry } from "./registry_exposure.ts";
import { ensurePrivateDir, errorCode, writeFileAtomic } from "./private_files.ts";

/** Levels of the log. */
export type LogLevel = "debug" | "info" | "warn" | "error";
/** Shapes of the log: `key=value` lines or JSON lines. */
export type LogFormat = "text" | "json";

/** The known keys of `config.json`; every one may be missing. */
export interface Config {
  /** Registry, `host:port`. */
  registry?: string;
  /** Beacon, `host:port`. */
  beacon?: string;
  /** Speak TLS with the registry. */
  registry_tls?: boolean;
  /** SHA-256 of the registry's certificate, hex. */
  registry_fingerprint?: string;
  /** The registry's public key, base64, with which its answers must be signed. */
  registry_key?: string;
  /** Whether a plain registry off this machine is worth a warning. */
  registry_plain?: PlainRegistry;
  /** Path of the daemon's Unix socket. */
  socket?: string;
  /** Name this node registers. */
  hostname?: string;
  /** Contact address sent with the registration. */
  email?: string;
  /** Visible to strangers. */
  public?: boolean;
  /** Least level that is logged. */
  log_level?: LogLevel;
  /** Shape of the log. */
  log_format?: LogFormat;
  /** UDP address of the tunnel, `[host]:port`. */
  listen?: string;
  /** Path of the identity file. */
  identity?: string;
  /** Fixed public UDP endpoint, `host:port`. */
  endpoint?: string;
  /** Reach peers through the beacon only, and show our address to none. */
  relay_only?: boolean;
  /** Send nothing through the beacon's relay. */
  no_relay?: boolean;
  /** Accept every handshake request. */
  trust_auto_approve?: boolean;
  /** Switch the echo service off. */
  no_echo?: boolean;
  /** Switch messages and files off. */
  no_dataexchange?: boolean;
  /** Switch the event stream off. */
  no_eventstream?: boolean;
  /** Serve names on port 53. */
  nameserver?: boolean;
  /** Registry heartbeat interval: Go duration or seconds. */
  keepalive?: string | number;
}

/** Any JSON object: the known keys and whatever else stands in the file. */
export type RawConfig = Record<string, unknown>;

/** A key of {@linkcode Config}. */
export type ConfigKey = keyof Config;

const MAX_TEXT = 4096; // longer than any path or URL we could use
const text = v.pipe(
  v.string("must be a string"),
  v.maxLength(MAX_TEXT, "is too long"),
);
const flag = v.boolean("must be true or false");
const endpoint = v.pipe(
  text,
  v.check(isEndpoint, "must look like host:port"),
);
const keepalive = v.pipe(
  v.union(
    [text, v.number()],
    "must be a duration such as 60s",
  ),
  v.check(isDuration, "must be a duration such as 60s"),
);

const FIELDS = {
  registry: endpoint,
  beacon: endpoint,
  registry_tls: flag,
  registry_fingerprint: text,
  registry_key: text,
  registry_plain: v.picklist(PLAIN_REGISTRY, "must be warn or accept"),
  socket: text,
  hostname: text,
  email: text,
  public: flag,
  log_level: v.picklist(
    ["debug", "info", "warn", "error"],
    "must be debug, info, warn or error",
  ),
  log_format: v.picklist(["text", "json"], "must be text or json"),
  listen: text,
  identity: text,
  endpoint,
  trust_auto_approve: flag,
  relay_only: flag,
  no_relay: flag,
  no_echo: flag,
  no_dataexchange: flag,
  no_eventstream: flag,
  nameserver: flag,
  keepalive,
} as const;

const SCHEMA = v.partial(v.object(FIELDS));

/** Names of the keys this version uses. */
export const CONFIG_KEYS: readonly ConfigKey[] = Object.keys(
  FIELDS,
) as ConfigKey[];

/** Keys whose values must not be shown: they may stand in files written for other implementations. */
export const SECRET_CONFIG_KEYS: readonly string[] = [
  "admin_token",
  "webhook_secret",
];

function isEndpoint(value: string): boolean {
  const match = /^(?:\[[^\]]+\]|[^:[\]]*):(\d{1,5})$/.exec(value);
  return match !== null && Number(match[1]) <= 0xffff;
}

function isDuration(value: string | number): boolean {
  try {
    parseDuration(String(value));
    return true;
  } catch {
    return false; // the check's own message says what is expected
  }
}

/**
 * The name of a key as we write it. Files of other implementations may spell `log-level`; ours is `log_level`.
 *
 * @param key Either spelling.
 * @returns Our spelling of a known key; an unknown key as it is.
 */
export function canonicalKey(key: string): string {
  const name = key.replaceAll("-", "_");
  return name in FIELDS ? name : key;
}

/**
 * Checks an object against the known keys. Keys may be spelled with `-` or `_`; empty strings count as unset.
 *
 * @param raw A parsed JSON object.
 * @param where Named in error messages.
 * @returns The known keys only.
 * @throws {PilotError} `invalid_argument` naming the key.
 */
export function parseConfig(raw: RawConfig, where: string): Config {
  const named: RawConfig = {};
  for (const [key, value] of Object.entries(raw)) {
    const name = canonicalKey(key);
    if (value === "" || value === null || !(name in FIELDS)) continue;
    named[name] = typeof value === "string" ? typedValue(name, value) : value;
  }
  const result = v.safeParse(SCHEMA, named);
  if (result.success) return result.output as Config;
  const issue = result.issues[0];
  const key = v.getDotPath(issue) ?? "?";
  throw new PilotError(
    "invalid_argument",
    `${where}: "${key}" ${issue.message}`,
    {
      hint: `Correct it in the file or run: pilotctl config --set ${key}=VALUE`,
    },
  );
}

/** Text of a boolean as the reference stores it (`"public": "true"`) becomes the boolean that was meant. */
function typedValue(key: string, value: string): unknown {
  const field = FIELDS[key as ConfigKey];
  if (field !== flag) return value;
  if (value === "true" || value === "1") return true;
  if (value === "false" || value === "0") return false;
  return value;
}

/**
 * Keys that mean nothing to us: misspelt, or another implementation's.
 *
 * @param raw A parsed config file.
 * @returns Their names.
 */
export function unknownConfigKeys(raw: RawConfig): string[] {
  return Object.keys(raw).filter((key) => !(canonicalKey(key) in FIELDS));
}

/**
 * Turns the text of `config --set key=value` into the value to store.
 *
 * @param key A known key, in either spelling.
 * @param value Its text.
 * @returns The canonical key and the typed value.
 * @throws {PilotError} `invalid_argument` for unknown keys and unfit values.
 */
export function parseConfigValue(
  key: string,
  value: string,
): { key: ConfigKey; value: unknown } {
  const name = canonicalKey(key);
  if (!(name in FIELDS)) {
    throw new PilotError("invalid_argument", `Unknown config key "${key}"`, {
      hint: `Known keys: ${CONFIG_KEYS.join(", ")}.`,
    });
  }
  try {
    const parsed = parseConfig({ [name]: value }, "Config");
    const key = name as ConfigKey;
    return { key, value: parsed[key] ?? value };
  } catch (error) {
    throw new PilotError(
      "invalid_argument",
      PilotError.from(error, "invalid_argument").message,
    );
  }
}

/**
 * Reads the object in a config file without checking keys.
 *
 * @param path The file.
 * @returns Its object; empty when there is no file.
 * @throws {PilotError} `invalid_argument` when it is not a JSON object, `io_error` when it cannot be read.
 */
export function readRawConfig(path: string): RawConfig {
  let content: string;
  try {
    content = readFileSync(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") {
      return {};
    }
    throw PilotError.from(error, "io_error", `Cannot read ${path}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (error) {
    throw new PilotError(
      "invalid_argument",
      `${path} is not JSON: ${String(error)}`,
      {
        hint: "Correct the file, or move it away and run: pilotctl init",
        cause: error,
      },
    );
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new PilotError(
      "invalid_argument",
      `${path} does not hold a JSON object`,
      {
        hint: "Correct the file, or move it away and run: pilotctl init",
      },
    );
  }
  return value as RawConfig;
}

/**
 * Changes some keys of a config file and keeps the rest, with mode 0600. Two writers at once: the later wins.
 *
 * @param path The file; its directory is created when missing.
 * @param patch New values; undefined removes a key.
 * @returns The whole object now in the file.
 * @throws {PilotError} `invalid_argument` when the result would not be valid, `io_error` when it cannot be written.
 */
export async function updateConfigFile(
  path: string,
  patch: RawConfig,
): Promise<RawConfig> {
  const config = readRawConfig(path);
  for (const [key, value] of Object.entries(patch)) {
    for (const old of Object.keys(config)) {
      if (canonicalKey(old) === key) delete config[old]; // drops the other spelling too
    }
    if (value !== undefined) config[key] = value;
  }
  parseConfig(config, path);
  await ensurePrivateDir(dirname(path));
  await writeFileAtomic(path, JSON.stringify(config, null, 2) + "\n");
  return config;
}
