/**
 * `daemon run|start|stop|status` (docs/protocol/command-line.md §5).
 *
 * @module
 */

import { adviceText } from "../advice_text.ts";
import { DAEMON, type DaemonFlags, PLACES, type Settings } from "../../platform/settings/mod.ts";
import {
  type DaemonPlace,
  probeInfo,
  startDaemon,
  STOP_TIMEOUT_MS,
  stopDaemon,
} from "../daemon_process.ts";
import { PilotError } from "../../protocol/errors.ts";
import { EXIT_OK } from "../exit_codes.ts";
import type { Invocation } from "../invocation.ts";
import { fields, formatUptime, type Outcome, type Style } from "../output.ts";
import { PIN_REGISTRY } from "../../platform/registry_exposure.ts";
import { parseDuration } from "../parse.ts";
import { givenSettings, settingArguments, settingOptions } from "../setting_options.ts";
import type { CommandGroup } from "../spec.ts";
import type { OptionSpec } from "../option_spec.ts";
import { lines, safe, type SafeText, show } from "../terminal_text.ts";
import { plainClock } from "../../platform/clock.ts";
import { pause } from "../../platform/waiting.ts";

/** Longest wait of `daemon start`, milliseconds. */
const START_TIMEOUT_MS = 15_000;
/** How long `daemon start` waits for the registration once the socket answers, milliseconds. */
const REGISTER_WAIT_MS = 1000;
/** Pause between looks at the registration, milliseconds. */
const REGISTER_POLL_MS = 10;

const DAEMON_OPTIONS: readonly OptionSpec[] = settingOptions(DAEMON);

/** What was given of the daemon's settings. */
function daemonFlags(call: Invocation): DaemonFlags {
  return givenSettings(DAEMON, call.options);
}

/** The command line of `daemon run` that repeats what was given to `daemon start`. */
async function runArguments(call: Invocation): Promise<string[]> {
  const { NO_SOCKET, resolveDaemonOptions } = await import("../../platform/settings/mod.ts");
  const settings = await call.settings();
  const flags = daemonFlags(call);
  // Paths as seen from here: the daemon starts in another directory.
  const { identity, commonSocket, logFile } = resolveDaemonOptions(settings, flags);
  const { home, socket, registry, beacon } = settings;
  const config = call.options.has("config") ? settings.configPath : undefined;
  return [
    ...["daemon", "run"],
    ...settingArguments(PLACES, { home, config, socket, registry, beacon }),
    ...settingArguments(DAEMON, {
      ...flags,
      ...(flags.identity === undefined ? {} : { identity }),
      commonSocket: commonSocket ?? NO_SOCKET,
      logFile: logFile ?? settings.logPath,
    }),
  ];
}

/**
 * Says what is odd about the environment, and which keys of the config file do nothing: another implementation's, which
 * may have mattered, or misspelt ones.
 */
async function warnOfOddities(call: Invocation): Promise<void> {
  const { SECRET_CONFIG_KEYS, unknownConfigKeys } = await import("../../platform/settings/mod.ts");
  const { rawConfig, configPath, warnings } = await call.settings();
  if (call.json) return;
  const keys = unknownConfigKeys(rawConfig).filter((key) => !SECRET_CONFIG_KEYS.includes(key));
  const unknown = `${configPath}: unknown keys ignored: ${keys.join(", ")}`;
  for (const text of [...warnings, ...(keys.length === 0 ? [] : [unknown])]) {
    show(call.host.stderr, safe`warning: ${text}`);
  }
}

async function run(call: Invocation): Promise<Outcome> {
  const { resolveDaemonOptions } = await import("../../platform/settings/mod.ts");
  await warnOfOddities(call);
  const options = resolveDaemonOptions(await call.settings(), daemonFlags(call));
  options.advise = (advice) => call.hint(adviceText(advice));
  options.ready = ({ socket, pid }) =>
    call.announce({ socket, pid }, `daemon ready: socket ${socket}, pid ${pid}`);
  const runDaemon = await call.host.roles.daemon();
  return { data: {}, silent: true, exitCode: await runDaemon(options) };
}

async function start(call: Invocation): Promise<Outcome> {
  if (call.options.flag("foreground")) return await run(call);
  const { resolveDaemonOptions } = await import("../../platform/settings/mod.ts");
  const found = await call.settings();
  const { logFile = found.logPath } = resolveDaemonOptions(found, daemonFlags(call));
  const settings = { ...found, logPath: logFile };
  await warnOfOddities(call);
  const timeoutMs = call.options.number("timeout") ?? START_TIMEOUT_MS;
  const started = await startDaemon(call, settings, await runArguments(call), timeoutMs);
  const info = await waitForRegistration(call, settings, started.info);
  const registered = isRegistered(info);
  const data = {
    pid: started.pid,
    node_id: info.node_id ?? null,
    address: info.address ?? null,
    hostname: info.hostname ?? "",
    socket: settings.socket,
    ...(info.common_socket === undefined ? {} : { common_socket: info.common_socket }),
    log_file: settings.logPath,
    registered,
    ...(info.registration_error === undefined
      ? {}
      : { registration_error: info.registration_error }),
    ...(info.registry_warning === undefined ? {} : { registry_warning: info.registry_warning }),
  };
  const reason = info.registration_error ?? `${settings.registry} does not answer yet`;
  const state = registered ? "" : safe`\nNot registered (${reason}); the daemon keeps trying.`;
  const list = fields([
    ["Address", info.address],
    ["Hostname", info.hostname],
    ["Socket", settings.socket],
    ["Common socket", commonSocketText(settings, info)],
    ["Logs", settings.logPath],
  ]);
  const text = safe`${call.style.good("Daemon running")} (pid ${started.pid})\n${list}${state}`;
  const shown = lines([text, registryWarningText(info, call.style)]);
  if (typeof info.hostname_error !== "string") return { data, text: shown };
  const isTaken = / in use/.test(info.hostname_error);
  throw call.failure(
    isTaken ? "already_exists" : "invalid_argument",
    `The daemon runs and is registered, but without a hostname: ${info.hostname_error}`,
    {
      data: { ...data, hostname_error: info.hostname_error },
      text: shown,
      hint: "Choose another one: pilotctl set-hostname NAME, or use none: pilotctl clear-hostname",
    },
  );
}

/** Whether programs that do not know homes find the daemon; undefined where they are not meant to. */
function commonSocketText(
  { commonSocket }: Settings,
  info: Record<string, unknown>,
): string | undefined {
  if (commonSocket === undefined || info.common_socket === undefined) return undefined;
  return info.common_socket === null
    ? `${commonSocket.path} belongs to another daemon; programs that look only there need PILOT_SOCKET`
    : commonSocket.path;
}

/** The warning that the daemon gives about its registry, and what to do; undefined when it gives none. */
export function registryWarningText(
  { registry_warning }: Record<string, unknown>,
  style: Style,
): SafeText | undefined {
  if (typeof registry_warning !== "string") return undefined;
  return safe`${style.bad("warning:")} ${registry_warning}\n${style.dim("hint:")} ${
    adviceText(PIN_REGISTRY)
  }`;
}

/** Our daemon reports the state of its registration; of others only a node id shows that they have one. */
function isRegistered(info: Record<string, unknown>): boolean {
  if (info.registration !== undefined) return info.registration === "registered";
  return typeof info.node_id === "number" && info.node_id !== 0;
}

async function waitForRegistration(
  call: Invocation,
  { socket }: DaemonPlace,
  first: Record<string, unknown>,
): Promise<Record<string, unknown>> {
  let info = first;
  const deadline = performance.now() + REGISTER_WAIT_MS;
  // "retrying" means that the first attempt has failed: there is nothing to wait for soon.
  const isOpen = () => !isRegistered(info) && info.registration !== "retrying";
  while (isOpen() && performance.now() < deadline && !call.signal.aborted) {
    await pause(plainClock, REGISTER_POLL_MS);
    info = await probeInfo(call, { socket }) ?? info;
  }
  return info;
}

/** The running daemon's process id, by its pid file or, for one started otherwise, by what it says itself. */
async function findPid(
  call: Invocation,
): Promise<{ pid: number | undefined; info: Record<string, unknown> | undefined }> {
  const { readPidFile } = await import("../../platform/pidfile.ts");
  const settings = await call.settings();
  const [held, info] = await Promise.all([
    readPidFile(settings.pidPath),
    probeInfo(call, settings),
  ]);
  const told = typeof info?.pid === "number" ? info.pid : undefined;
  return { pid: held ?? told, info };
}

async function stop(call: Invocation): Promise<Outcome> {
  const settings = await call.settings();
  const { pid, info } = await findPid(call);
  if (pid === undefined) {
    throw new PilotError("not_running", `No daemon of ${settings.home} is running`, {
      hint: info === undefined
        ? "Start one: pilotctl daemon start"
        : `Something answers on ${settings.socket} without reporting its process id: stop it where it was started.`,
    });
  }
  const timeoutMs = call.options.number("timeout") ?? STOP_TIMEOUT_MS;
  const { forced } = await stopDaemon(settings, pid, timeoutMs);
  return {
    data: { pid, ...(forced ? { forced } : {}) },
    text: `Daemon stopped (pid ${pid})${forced ? ", killed" : ""}`,
  };
}

/** What `daemon status --check` ends with when no daemon answers (docs/protocol/command-line.md §5). */
const EXIT_NOT_RESPONSIVE = 1;

/** Keys of `info` that `daemon status` passes on. */
const STATUS_KEYS = [
  "node_id",
  "address",
  "hostname",
  "registration",
  "registration_error",
  "hostname_error",
  "registry_warning",
  "uptime_secs",
  "peers",
  "connections",
] as const;

function unregistered({ registration, registration_error }: Record<string, unknown>): string {
  const why = registration_error === undefined ? "" : ` (${registration_error})`;
  return `${registration ?? "none"}${why}`;
}

async function status(call: Invocation): Promise<Outcome> {
  const settings = await call.settings();
  const { pid, info } = await findPid(call);
  const responsive = info !== undefined;
  if (call.options.flag("check")) {
    return { data: {}, silent: true, exitCode: responsive ? EXIT_OK : EXIT_NOT_RESPONSIVE };
  }
  const data: Record<string, unknown> = {
    running: responsive || pid !== undefined,
    responsive,
    pid: pid ?? null,
    pid_file: settings.pidPath,
    socket: settings.socket,
  };
  for (const key of STATUS_KEYS) if (info?.[key] !== undefined) data[key] = info[key];
  const state = responsive
    ? call.style.good("running")
    : pid === undefined
    ? call.style.dim("stopped")
    : call.style.bad("running, does not answer");
  const uptime = typeof info?.uptime_secs === "number" ? formatUptime(info.uptime_secs) : undefined;
  const list = fields([
    ["PID", pid],
    ["Socket", settings.socket],
    ["Address", info?.address],
    ["Hostname", info?.hostname],
    ["Registration", info === undefined || isRegistered(info) ? "" : unregistered(info)],
    ["Uptime", uptime],
    ["Peers", info?.peers],
    ["Connections", info?.connections],
  ]);
  const warning = registryWarningText(info ?? {}, call.style);
  return { data, text: lines([safe`Daemon: ${state}`, list, warning]) };
}

/** The daemon's life. */
export const daemonGroup: CommandGroup = {
  title: "Daemon",
  commands: [{
    name: "daemon",
    summary: "Run, start, stop or inspect the local daemon",
    commands: [
      {
        name: "run",
        summary: "Run the daemon in the foreground",
        options: DAEMON_OPTIONS,
        examples: ["daemon run", "daemon run --home /tmp/agent-a --log-level debug"],
        returns: "Nothing; the ready line {socket, pid} while it runs",
        run,
      },
      {
        name: "start",
        summary: "Start the daemon in the background and wait until it is ready",
        options: [
          ...DAEMON_OPTIONS,
          { flags: "--foreground", description: "Stay in the foreground (daemon run)" },
          {
            flags: "--timeout <duration>",
            description: "Maximum wait (15s)",
            parse: parseDuration,
          },
        ],
        examples: ["daemon start", "daemon start --hostname my-agent --public"],
        notes: "Fails when the hostname is refused; the daemon then runs without one.",
        returns:
          "pid, node_id, address, hostname, socket, common_socket, log_file, registered, hostname_error, registration_error, registry_warning",
        run: start,
      },
      {
        name: "stop",
        summary: "Stop the daemon",
        options: [{
          flags: "--timeout <duration>",
          description: "Time to wait before killing the process (10s)",
          parse: parseDuration,
        }],
        examples: ["daemon stop"],
        returns: "pid; forced when it had to be killed",
        run: stop,
      },
      {
        name: "status",
        summary: "Show whether the daemon runs and answers",
        options: [{
          flags: "--check",
          description: "Print nothing; exit code 0 when it answers, 1 when it does not",
        }],
        examples: ["daemon status", "daemon status --check && echo up"],
        returns:
          "running, responsive, pid, pid_file, socket, node_id, address, hostname, registration, registration_error, registry_warning, uptime_secs, peers, connections",
        run: status,
      },
    ],
  }],
};
