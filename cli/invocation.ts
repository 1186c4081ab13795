/**
 * One call of one command: its arguments, the settings, the daemon connection, the streams.
 *
 * @module
 */

import { existsSync } from "node:fs";
import type { Command } from "commander";
import { type ErrorCode, PilotError } from "../protocol/errors.ts";
import type { Driver } from "../sdk/mod.ts";
import type { RawConfig } from "../platform/settings/mod.ts";
import { type Env, PLACES, type Settings } from "../platform/settings/mod.ts";
import { CommandFailure, usageError } from "./command_failure.ts";
import { PLACE_OPTIONS, withPlaces } from "./hints.ts";
import { makeStyle, type Style } from "./output.ts";
import type { Launch } from "./launch.ts";
import { Options } from "./options.ts";
import { givenSettings } from "./setting_options.ts";
import type { Roles } from "./roles.ts";
import type { InStream, OutStream } from "./standard_streams.ts";
import { safe, safeJson, type SafeText, show } from "./terminal_text.ts";

/** What the commands use of the SDK's driver; tests put their own behind it. */
export type CliDriver = Pick<Driver, keyof Driver>;

/** Opens a connection to the daemon. */
export type Connect = (
  options: { socket: string; common?: Settings["commonSocket"]; signal?: AbortSignal },
) => Promise<CliDriver>;

/** The world around the CLI. */
export interface CliHost {
  /** Throws when the runtime cannot run this. */
  checkRuntime?: () => void;
  /** The long-running programs, loaded only when called. */
  roles: Roles;
  /** How to reach the daemon; default the SDK's `connect`. */
  connect?: Connect;
  /** Results. */
  stdout: OutStream;
  /** Errors and progress. */
  stderr: OutStream;
  /** Input. */
  stdin: InStream;
  /** The environment. */
  env: Env;
  /** Command line that starts this program again, without arguments. */
  self: readonly string[];
  /** How to start a process in the background; default that of launch.ts. */
  launch?: Launch;
  /** Calls `handler` on SIGINT and SIGTERM until the returned function is called. */
  onInterrupt(handler: () => void): () => void;
}

/** Commands that make the config file they are given. */
const MAKES_CONFIG: readonly string[] = ["init", "join", "config"];

/** One call of one command. */
export class Invocation implements AsyncDisposable {
  /** Positional arguments. */
  readonly args: readonly string[];
  /** Options, global ones included. */
  readonly options: Options;
  /** Print JSON. */
  readonly json: boolean;
  /** The command that was called. */
  readonly command: Command;
  /** The world. */
  readonly host: CliHost;
  /** Styles of stdout. */
  readonly style: Style;
  #settings: Settings | undefined;
  #driver: Promise<CliDriver> | undefined;
  #signal: AbortSignal | undefined;
  #stopListening: (() => void) | undefined;

  /**
   * @param host The world.
   * @param command The command that was called, parsed.
   */
  constructor(host: CliHost, command: Command) {
    this.host = host;
    this.command = command;
    this.args = command.args;
    this.options = new Options(command);
    this.json = this.options.flag("json") ?? false;
    this.style = makeStyle(
      !this.json && host.stdout.isTerminal && !host.env("NO_COLOR"),
    );
  }

  /** Positional argument `index`. Those that commander requires are there; `what` names it otherwise. */
  arg(index: number, what: string): string {
    const value = this.args[index];
    if (value === undefined) throw usageError(`Missing argument: ${what}`);
    return value;
  }

  /** Fires on Ctrl-C. From the first use on, Ctrl-C alone does not end the program. */
  get signal(): AbortSignal {
    if (this.#signal === undefined) {
      const controller = new AbortController();
      this.#stopListening = this.host.onInterrupt(() => controller.abort());
      this.#signal = controller.signal;
    }
    return this.#signal;
  }

  /** Where everything is. Reads the config file at the first call. */
  async settings(): Promise<Settings> {
    return this.#settings ??= await this.#resolveSettings();
  }

  /** The same without what the config file says: for a file that cannot be used. */
  async settingsWithoutConfig(): Promise<Settings> {
    return await this.#resolveSettings({});
  }

  async #resolveSettings(rawConfig?: RawConfig): Promise<Settings> {
    const { resolveSettings } = await import("../platform/settings/mod.ts");
    const settings = resolveSettings({
      flags: givenSettings(PLACES, this.options),
      env: this.host.env,
      ...(rawConfig === undefined ? {} : { rawConfig }),
    });
    const isNamed = this.options.has("config") && rawConfig === undefined;
    const isMaker = MAKES_CONFIG.includes(this.command.name()) &&
      this.command.parent?.parent === null; // `network join` makes none
    if (isNamed && !isMaker && !existsSync(settings.configPath)) {
      throw new PilotError("not_found", `No such config file: ${settings.configPath}`, {
        hint: "Check --config, or create the file: pilotctl init",
      });
    }
    return settings;
  }

  /** The connection to the daemon, opened at the first call and closed with the command. */
  driver(): Promise<CliDriver> {
    this.#driver ??= this.#connect();
    return this.#driver;
  }

  async #connect(): Promise<CliDriver> {
    const { socket, commonSocket: common } = await this.settings();
    const connect = this.host.connect ?? (await import("../sdk/mod.ts")).connect;
    return await connect({ socket, common, signal: this.signal });
  }

  /** Forgets the connection, so that the next {@linkcode driver} opens a new one. */
  async disconnect(): Promise<void> {
    const driver = this.#driver;
    this.#driver = undefined;
    if (driver === undefined) return;
    try {
      await (await driver).close();
    } catch {
      // It never opened, or broke: the command has reported that; nothing is left to close.
    }
  }

  /** Writes one result of an endless command: a JSON line, or the text. */
  emit(data: Record<string, unknown>, text: SafeText | string): void {
    show(this.host.stdout, this.json ? safeJson(data) : text);
  }

  /** What a server says when it is ready: that nobody reads it, or the disk is full, is no reason to end. */
  announce(data: Record<string, unknown>, text: SafeText | string): void {
    try {
      this.emit({ status: "ok", data }, text);
    } catch {
      // The server works anyway.
    }
  }

  /** Reports progress to a person, on stderr; nothing with `--json` or when nobody watches. */
  note(text: SafeText | string): void {
    if (!this.json && this.host.stderr.isTerminal) show(this.host.stderr, text);
  }

  /** On stderr in any case: something may be missing in what is shown. */
  warn(code: ErrorCode, message: string): void {
    const { stderr } = this.host;
    if (this.json) show(stderr, safeJson({ status: "warning", code, message }));
    else show(stderr, safe`warning: ${message}`);
  }

  /** A hint whose commands reach the agent that was meant; those of errors are treated so automatically. */
  hint(text: string): string {
    const places = PLACE_OPTIONS.map((name) => [name, this.options.text(name)] as const)
      .flatMap(([name, value]) => value === undefined ? [] : [[name, value] as const]);
    return withPlaces(text, Object.fromEntries(places), this.host.env);
  }

  /** A failure that shows `data` (and `text` to people) as well. */
  failure(
    ...parameters: ConstructorParameters<typeof CommandFailure>
  ): CommandFailure {
    return new CommandFailure(...parameters);
  }

  /** Closes what the command used. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.disconnect();
    this.#stopListening?.();
  }
}
