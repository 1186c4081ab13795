/**
 * `config.json`: a flat JSON object in the home directory (docs/protocol/command-line.md §2).
 *
 * The known keys are those of `setting_table.ts`; they are checked. Unknown ones (of other implementations or later
 * versions) are kept and ignored.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { PilotError, remedyOf } from "../../protocol/errors.ts";
import { ensurePrivateDir, errorCode, writeFileAtomic } from "../private_files.ts";
import { configSettings, type Setting, type SettingTable } from "./setting.ts";
import { DAEMON, type DaemonSettings, PLACES, type PlaceSettings } from "./setting_table.ts";
import { isJsonObject } from "../../protocol/json_object.ts";

/** The known keys of `config.json` by their names in programs; every one may be missing. */
export type Config = Partial<PlaceSettings & DaemonSettings>;

/** Any JSON object: the known keys and whatever else is in the file. */
export type RawConfig = Record<string, unknown>;

/** The settings of a daemon's home. */
const TABLES: readonly SettingTable[] = [PLACES, DAEMON];

/** Keys whose values must not be shown: they may stand in files written for other implementations. */
export const SECRET_CONFIG_KEYS: readonly string[] = ["admin_token", "webhook_secret"];

/**
 * Whether the value of a key must not be shown: one of ours that is secret, or whatever is called so in files of others.
 *
 * @param key A key of the config file.
 * @returns True for secrets.
 */
export function isSecretKey(key: string): boolean {
  return SECRET_CONFIG_KEYS.includes(key) || /token|secret|password|private/i.test(key);
}

/** Names of the keys that `tables` use, default those of this version. */
export function configKeys(tables: readonly SettingTable[] = TABLES): string[] {
  return [...configSettings(...tables).keys()];
}

/**
 * The name of a key as we write it. Files of other implementations may spell `log-level`; ours is `log_level`.
 *
 * @param key Either spelling.
 * @param tables The settings.
 * @returns Our spelling of a known key; an unknown key as it is.
 */
export function canonicalKey(key: string, tables: readonly SettingTable[] = TABLES): string {
  const name = key.replaceAll("-", "_");
  return configSettings(...tables).has(name) ? name : key;
}

/**
 * Checks an object against the known keys. Keys may be spelled with `-` or `_`; empty strings count as unset.
 *
 * @param raw A parsed JSON object.
 * @param where Named in error messages.
 * @param tables The settings.
 * @returns The values of the known keys, by their names in programs.
 * @throws {PilotError} `invalid_argument` naming the key.
 */
export function parseConfig(
  raw: RawConfig,
  where: string,
  tables: readonly SettingTable[] = TABLES,
): Config {
  const known = configSettings(...tables);
  const config: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(raw)) {
    const found = known.get(key.replaceAll("-", "_"));
    if (found === undefined || value === "" || value === null) continue;
    try {
      config[found.name] = found.setting.type.fromJson(value);
    } catch (error) {
      const name = canonicalKey(key, tables);
      throw new PilotError(
        "invalid_argument",
        `${where}: "${name}" ${reasonOf(error, found.setting)}`,
        {
          advice: { id: "correct_config", key: name },
          cause: error,
        },
      );
    }
  }
  return config;
}

/** The end of a sentence that begins with the setting's name. */
function reasonOf(error: unknown, { type }: Setting<unknown>): string {
  const said = error instanceof PilotError ? error.message : "";
  return /^(?:must|is) /.test(said) ? said : type.expects;
}

/**
 * Keys that mean nothing to us: misspelt, or another implementation's.
 *
 * @param raw A parsed config file.
 * @returns Their names.
 */
export function unknownConfigKeys(raw: RawConfig): string[] {
  const known = configSettings(...TABLES);
  return Object.keys(raw).filter((key) => !known.has(key.replaceAll("-", "_")));
}

/**
 * Turns the text of `config --set key=value` into the value to store.
 *
 * @param key A known key, in either spelling.
 * @param text Its text; empty for a value that counts as unset.
 * @param tables The settings.
 * @returns The canonical key and the value as it is in the file.
 * @throws {PilotError} `invalid_argument` for unknown keys and unfit values.
 */
export function parseConfigValue(
  key: string,
  text: string,
  tables: readonly SettingTable[] = TABLES,
): { key: string; value: unknown } {
  const name = canonicalKey(key, tables);
  const found = configSettings(...tables).get(name);
  if (found === undefined) {
    throw new PilotError("invalid_argument", `Unknown config key "${key}"`, {
      hint: `Known keys: ${configKeys(tables).join(", ")}.`,
    });
  }
  const { type } = found.setting;
  let value: unknown;
  try {
    value = text === "" ? "" : type.parse(text);
  } catch (error) {
    const wrong = PilotError.from(error, "invalid_argument");
    const { message } = wrong;
    const reason = /^(?:must|is) /.test(message) ? `"${name}" ${message}` : `${name}: ${message}`;
    throw new PilotError("invalid_argument", reason, {
      ...remedyOf(wrong),
      cause: error,
    });
  }
  return { key: name, value: type.switch === undefined ? text : value };
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
        advice: { id: "reset_config" },
        cause: error,
      },
    );
  }
  if (!isJsonObject(value)) {
    throw new PilotError(
      "invalid_argument",
      `${path} does not hold a JSON object`,
      {
        advice: { id: "reset_config" },
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
 * @throws {PilotError} `invalid_argument` when a new value is not valid or the file holds no object, `io_error` when
 * it cannot be written.
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
  // What else is wrong in it must not keep anybody from correcting it key by key.
  parseConfig(
    Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined)),
    path,
  );
  await ensurePrivateDir(dirname(path));
  await writeFileAtomic(path, JSON.stringify(config, null, 2) + "\n");
  return config;
}
