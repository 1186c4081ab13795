/**
 * Checks of the running daemon: socket, pid file, version, registration, peers.
 *
 * @module
 */

import { stat } from "node:fs/promises";
import { counted } from "../output.ts";
import process from "node:process";
import { checkCommonSocket } from "../../platform/common_socket.ts";
import { exists } from "../../platform/private_files.ts";
import { CLASH_HINT, clashIn, clashText } from "../../platform/identity_clash.ts";
import { linuxSocketProblem } from "../../platform/net/linux/self_test.ts";
import { readPidFile } from "../../platform/pidfile.ts";
import { VERSION } from "../../platform/version.ts";
import { PilotError } from "../../protocol/errors.ts";
import { type Check, fail, ok, skip, warn } from "./doctor_check.ts";

const NO_DAEMON = skip("no daemon answers");
const RESTART = "Restart it: pilotctl daemon stop, then pilotctl daemon start";
const OTHERS_ANY = 0o077;
/** Relayed peers whose reason is asked for: enough to see a pattern. */
const MAX_PEERS_ASKED = 8;

const socket: Check = {
  id: "daemon",
  title: "Daemon",
  async run({ settings, info }) {
    if (info === undefined) {
      const pid = await readPidFile(settings.pidPath);
      if (pid !== undefined) {
        return fail(
          `A daemon runs (pid ${pid}), but nothing answers on ${settings.socket}`,
          `Compare --socket with the one it was started with, or restart it; ${settings.logPath} may tell more.`,
        );
      }
      const left = await exists(settings.socket) ? " (a socket is left there)" : "";
      return fail(
        `No daemon answers on ${settings.socket}${left}`,
        "Start one: pilotctl daemon start",
      );
    }
    const pid = typeof info.pid === "number" ? `, pid ${info.pid}` : "";
    const { mode } = await stat(settings.socket).catch(() => ({ mode: 0 })); // it just answered: replaced this moment
    if (process.platform !== "win32" && (mode & OTHERS_ANY) !== 0) {
      return warn(
        `${settings.socket} can be used by other users (mode ${(mode & 0o777).toString(8)})`,
        `chmod 600 ${settings.socket}`,
      );
    }
    return ok(`answers on ${settings.socket}${pid}`);
  },
};

const commonSocket: Check = {
  id: "common_socket",
  title: "Common socket",
  async run({ settings: { commonSocket, warnings, socket }, info }) {
    if (commonSocket === undefined) return skip("not used, as home or socket are given");
    const { path } = commonSocket;
    const remedy = `Give those programs PILOT_SOCKET=${socket}`;
    const found = await whoseSocket(path);
    if (found !== undefined) return warn(found, remedy);
    const [warning] = warnings;
    if (warning !== undefined) return warn(warning, `Make that directory, or unset it. ${remedy}`);
    if (info === undefined) return NO_DAEMON;
    return info.common_socket === undefined || info.common_socket === path
      ? ok(`${path} leads to this daemon`)
      : warn(`Programs that look only at ${path} do not find this daemon`, remedy);
  },
};

/** Why the common socket is not used; undefined when it may be. */
async function whoseSocket(path: string): Promise<string | undefined> {
  try {
    await checkCommonSocket(path);
    return undefined;
  } catch (thrown) {
    return PilotError.from(thrown, "io_error").message;
  }
}

const pidFile: Check = {
  id: "pid_file",
  title: "Pid file",
  async run({ settings, info }) {
    const { pidPath } = settings;
    if (!await exists(pidPath)) {
      return info === undefined ? skip("none, as no daemon is running") : warn(
        `${pidPath} is missing while a daemon answers`,
        "It was started for another home, or by another program: check --home and --socket.",
      );
    }
    const pid = await readPidFile(pidPath);
    if (pid === undefined) {
      return warn(
        `${pidPath} is stale: the daemon that wrote it has ended without removing it`,
        "It was killed, or the machine went down. The next start takes the file over: pilotctl daemon start",
      );
    }
    if (typeof info?.pid === "number" && info.pid !== pid) {
      return warn(
        `${settings.socket} is served by process ${info.pid}, the home's daemon is ${pid}`,
        "Give each daemon its own socket, or stop one of them.",
      );
    }
    return ok(`held by process ${pid}`);
  },
};

const identityClash: Check = {
  id: "identity_clash",
  title: "One process",
  run({ info }) {
    if (info === undefined) return NO_DAEMON;
    if (info.identity_clash === undefined) return skip("the daemon does not report it");
    const clash = clashIn(info.identity_clash);
    return clash === undefined
      ? ok("no other process uses this identity")
      : fail(clashText(clash), CLASH_HINT);
  },
};

const version: Check = {
  id: "version",
  title: "Version",
  run({ info }) {
    if (info === undefined) return NO_DAEMON;
    const told = String(info.version);
    if (told === VERSION) return ok(told);
    return warn(`The daemon is ${told}, this program is ${VERSION}`, RESTART);
  },
};

const registration: Check = {
  id: "registration",
  title: "Registration",
  run({ settings, info }) {
    if (info === undefined) return NO_DAEMON;
    // Only our daemon reports its state; of others a number shows that they have one.
    const isRegistered = info.registration === undefined
      ? Boolean(info.node_id)
      : info.registration === "registered";
    const reason = info.registration_error === undefined ? "" : `: ${info.registration_error}`;
    if (info.registration === "deregistered") {
      return fail(
        "The daemon was taken out of the registry with `pilotctl deregister`",
        "To register it again: pilotctl daemon stop, pilotctl daemon start",
      );
    }
    const isElsewhere = typeof info.registry === "string" && info.registry !== settings.registry;
    if (!isRegistered && isElsewhere) {
      return fail(
        `The daemon is not registered${reason}`,
        `It tries ${info.registry}, the settings say ${settings.registry}: restart it, or correct --registry, ` +
          "PILOT_REGISTRY or config.json.",
      );
    }
    if (!isRegistered) {
      return fail(
        `The daemon is not registered${reason}`,
        "It keeps trying. See the registry below, and --hostname if the name is taken.",
      );
    }
    if (isElsewhere) {
      return warn(
        `The daemon is registered at ${info.registry}, the settings say ${settings.registry}`,
        "Restart the daemon, or correct --registry, PILOT_REGISTRY or config.json.",
      );
    }
    if (typeof info.hostname_error === "string") {
      return warn(
        `The daemon is registered without the hostname it was started with: ${info.hostname_error}`,
        "Choose another one: pilotctl set-hostname NAME, or use none: pilotctl clear-hostname",
      );
    }
    const name = info.hostname === "" || info.hostname === undefined ? "" : ` (${info.hostname})`;
    return ok(`${info.address}${name}`);
  },
};

const udpSocket: Check = {
  id: "udp_socket",
  title: "UDP socket",
  run({ info, options }) {
    if (typeof info?.socket_kind !== "string") return NO_DAEMON;
    const kind = info.socket_kind;
    if (kind !== "portable" || Deno.build.os !== "linux") return ok(kind);
    if (options?.udp === "portable") return ok("portable, as requested");
    const problem = linuxSocketProblem();
    const why = problem === ""
      ? "the Linux socket works here, so portable was requested (--udp, PILOT_UDP), or the daemon may not use FFI"
      : problem;
    return warn(
      `The daemon uses the portable UDP socket, which is slower and finds no path MTU: ${why}`,
      "Let it use FFI (--allow-ffi, -P=daemon), leave --udp out, and restart it.",
    );
  },
};

const peers: Check = {
  id: "peers",
  title: "Paths to peers",
  async run({ info, ask, options }) {
    if (!Array.isArray(info?.peer_list)) return NO_DAEMON;
    const list = info.peer_list as readonly { node_id: number; relay: boolean }[];
    if (list.length === 0) return ok("no peers now");
    const relayed = list.filter(({ relay }) => relay).map(({ node_id }) => node_id);
    if (relayed.length === 0) return ok(`${counted(list.length, "peer")}, all direct`);
    if (options?.pathMode === "relay-only") {
      return ok(`${counted(list.length, "peer")}, relayed as requested`);
    }
    const reasons = new Map<string, number>();
    for (const node of relayed.slice(0, MAX_PEERS_ASKED)) {
      const reason = await ask((driver) => driver.path(node)).then(
        ({ reason }) => reason || "direct by now",
        (error) => PilotError.from(error, "internal").message,
      );
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
    const told = [...reasons].map(([reason, count]) => `${reason} (${count})`).join("; ");
    return warn(
      `${relayed.length} of ${list.length} peers are reached through the relay: ${told}`,
      "`pilotctl path <peer>` shows what was tried. It is enough to let UDP in at one of the two ends.",
    );
  },
};

const events: Check = {
  id: "events",
  title: "Events",
  run({ info }) {
    if (info === undefined) return NO_DAEMON;
    const { event_subscribers: subscribers, event_overruns: overruns } = info;
    if (typeof subscribers !== "number") return skip("the daemon runs no broker");
    const now = counted(subscribers, "subscriber");
    if (typeof overruns !== "number" || overruns === 0) return ok(now);
    return warn(
      `${now}; ${overruns} disconnected since the start because they did not read their events in time`,
      "The log names them (pubsub.overrun). They lost events, and their subscriptions were ended to tell them so: make them " +
        "read faster, or publish less.",
    );
  },
};

/** In the order of the report. */
export const DAEMON_CHECKS: readonly Check[] = [
  socket,
  commonSocket,
  pidFile,
  identityClash,
  version,
  registration,
  udpSocket,
  peers,
  events,
];
