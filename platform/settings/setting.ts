/**
 * A setting, and everything that follows from its entry in a table: where its value comes from, its key in the config
 * file, its variable.
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import type { SettingType } from "./setting_type.ts";

/** One entry of a table. */
export interface Setting<T> {
  readonly type: SettingType<T>;
  /** One line of help, without default and variable. */
  readonly help: string;
  /** Help of `--no-x`, for a setting that is switched on or off. */
  readonly helpOff?: string;
  /** Its option without dashes; `no-x` for one that switches off. Absent for what is read from variables only. */
  readonly flag?: string;
  /** Its environment variable. */
  readonly env?: string;
  /** It may stand in the config file, under the name of its option. */
  readonly inConfig?: boolean;
  /** The value when nothing says another. */
  readonly default?: T;
  /** The default in words, where it is none of a fixed value. */
  readonly defaultText?: string;
  /** Its value is shown nowhere. */
  readonly isSecret?: boolean;
}

/** Settings of one role by their names in programs. */
// deno-lint-ignore no-explicit-any -- each entry has its own type of value
export type SettingTable = Readonly<Record<string, Setting<any>>>;

/** The table of settings whose values are those of `T`. */
export type TableOf<T> = { readonly [K in keyof Required<T>]: Setting<NonNullable<T[K]>> };

/** Where a value came from. */
export type SettingSource = "flag" | "environment" | "config" | "default";

/** The environment, as a function so that tests need not change the real one. */
export type Env = (name: string) => string | undefined;

/** Where values are looked for, in this order. */
export interface Sources<T> {
  /** Given on the command line or by a program. */
  readonly flags: { readonly [K in keyof T]?: T[K] | undefined };
  readonly env: Env;
  /** Values of the config file, as {@linkcode readConfigValues} gives them. */
  readonly config: { readonly [K in keyof T]?: T[K] | undefined };
}

/** The key of a setting in the config file; undefined when it has none. */
export function configKey({ flag, inConfig }: Pick<Setting<unknown>, "flag" | "inConfig">):
  | string
  | undefined {
  return inConfig === true ? flag?.replaceAll("-", "_") : undefined;
}

/**
 * The value of a setting: flag, environment, config file, default. Empty text counts as not there.
 *
 * @throws {PilotError} `invalid_argument` when the variable holds what is no value.
 */
export function valueOf<T, K extends keyof T & string>(
  table: TableOf<T>,
  name: K,
  sources: Sources<T>,
): { value: NonNullable<T[K]> | undefined; source: SettingSource } {
  const setting = table[name] as Setting<NonNullable<T[K]>>;
  const isThere = (value: unknown) => value !== undefined && value !== null && value !== "";
  const flag = sources.flags[name];
  if (isThere(flag)) {
    const value = typeof flag === "string" ? setting.type.parse(flag) : flag;
    return { value: value as NonNullable<T[K]>, source: "flag" };
  }
  const text = setting.env === undefined ? undefined : sources.env(setting.env);
  if (text) {
    try {
      return { value: setting.type.parse(text), source: "environment" };
    } catch (error) {
      throw new PilotError("invalid_argument", `${setting.env} is "${text}"`, {
        hint: `It ${setting.type.expects}.`,
        cause: error,
      });
    }
  }
  const config = sources.config[name];
  if (isThere(config)) return { value: config as NonNullable<T[K]>, source: "config" };
  return { value: setting.default, source: "default" };
}

/** The values of all settings of a table, as {@linkcode valueOf} finds them. */
export function valuesOf<T>(
  table: TableOf<T>,
  sources: Sources<T>,
): { [K in keyof T]: NonNullable<T[K]> | undefined } {
  const names = Object.keys(table) as (keyof T & string)[];
  return Object.fromEntries(
    names.map((name) => [name, valueOf(table, name, sources).value]),
  ) as { [K in keyof T]: NonNullable<T[K]> | undefined };
}

/** The settings of tables that may stand in the config file, by their keys there. */
export function configSettings(
  ...tables: readonly SettingTable[]
): Map<string, { name: string; setting: Setting<unknown> }> {
  const found = new Map<string, { name: string; setting: Setting<unknown> }>();
  for (const table of tables) {
    for (const [name, setting] of Object.entries(table)) {
      const key = configKey(setting);
      if (key !== undefined) found.set(key, { name, setting });
    }
  }
  return found;
}

/** The variables of tables and what they are for. */
export function environmentOf(...tables: readonly SettingTable[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const table of tables) {
    for (const { env, help } of Object.values(table)) if (env !== undefined) found[env] = help;
  }
  return found;
}
