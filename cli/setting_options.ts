/**
 * Settings on command lines: the options of a table, what was given of them, and a command line that says the same
 * again.
 *
 * @module
 */

import {
  type Setting,
  type SettingTable,
  type TableOf,
  valuesOf,
} from "../platform/settings/setting.ts";
import type { Env } from "../platform/settings/mod.ts";
import { orList } from "../platform/settings/setting_type.ts";
import type { Options } from "./options.ts";
import type { OptionSpec } from "./option_spec.ts";

/** The options of a table. */
export function settingOptions(table: SettingTable): OptionSpec[] {
  return Object.values(table).flatMap((setting) => settingOption(setting));
}

/** The option of one setting; two for one that is switched on or off. */
export function settingOption<T>(setting: Setting<T>): OptionSpec[] {
  const { flag, type } = setting;
  if (flag === undefined) return [];
  const description = describe(setting);
  if (type.switch === undefined) {
    return [{
      flags: `--${flag} <${type.metavar ?? "value"}>`,
      description,
      parse: (text) => type.parse(text),
    }];
  }
  const on = { flags: `--${flag}`, description };
  if (type.switch === "on") return [on];
  return [on, { flags: `--no-${flag}`, description: setting.helpOff ?? `Not --${flag}` }];
}

/** Help, the values where they are few, and where the value comes from otherwise. */
function describe<T>({ help, type, env, default: value, defaultText }: Setting<T>): string {
  const isOff = type.switch !== undefined;
  const otherwise = defaultText ??
    (value === undefined || isOff ? undefined : durationText(type.format(value)));
  const from = [env, otherwise].filter((text) => text !== undefined).join(", ");
  const what = type.choices === undefined ? help : `${help}: ${orList(type.choices)}`;
  return from === "" ? what : `${what} (${from})`;
}

/** Milliseconds as people write them. */
function durationText(text: string): string {
  const [, ms] = /^(\d+)000ms$/.exec(text) ?? [];
  return ms === undefined ? text : `${ms}s`;
}

/** The values that were given on a command line. */
export function givenSettings<T>(table: TableOf<T>, options: Options): { [K in keyof T]?: T[K] } {
  const given: Record<string, unknown> = {};
  for (const [name, { flag, type }] of Object.entries(table as SettingTable)) {
    if (flag === undefined) continue;
    const negated = /^no-(.*)$/.exec(flag)?.[1];
    const value = type.switch === undefined
      ? options.value(flag)
      : negated === undefined
      ? options.flag(flag)
      : options.flag(negated) === false
      ? true
      : undefined;
    if (value !== undefined) given[name] = value;
  }
  return given as { [K in keyof T]?: T[K] };
}

/** The values of a role's settings: as given, from the environment, or the defaults. */
export function roleSettings<T>(
  table: TableOf<T>,
  options: Options,
  env: Env,
): { [K in keyof T]: NonNullable<T[K]> | undefined } {
  return valuesOf(table, { flags: givenSettings(table, options), env, config: {} });
}

/** Options that give `values` to another program of the same table. */
export function settingArguments<T>(
  table: TableOf<T>,
  values: { [K in keyof T]?: T[K] | undefined },
): string[] {
  const args: string[] = [];
  for (const [name, { flag, type }] of Object.entries(table as SettingTable)) {
    const value: unknown = values[name as keyof T];
    if (flag === undefined || value === undefined || value === "") continue;
    if (type.switch === undefined) args.push(`--${flag}=${type.format(value)}`);
    else if (value === true) args.push(`--${flag}`);
    else if (type.switch === "either") args.push(`--no-${flag}`);
  }
  return args;
}
