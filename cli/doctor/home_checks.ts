/**
 * Checks of the home directory: permissions, identity, config, log, space (docs/protocol/command-line.md §1).
 *
 * @module
 */

import { hintOf } from "../advice_text.ts";
import { access, constants, lstat, open, readdir, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { isSecretKey, SECRET_CONFIG_KEYS, unknownConfigKeys } from "../../platform/settings/mod.ts";
import { errorCode, readPrivateFile } from "../../platform/private_files.ts";
import {
  DISK_RESERVE_BYTES,
  INBOX_MAX_BYTES,
  INBOX_MAX_FILES,
  RECEIVED_MAX_BYTES,
  RECEIVED_MAX_FILES,
} from "../../platform/mailbox_limits.ts";
import { checkPrivateDir } from "../../platform/private_dir.ts";
import { Identity } from "../../protocol/crypto/identity.ts";
import { PilotError } from "../../protocol/errors.ts";
import { counted, formatBytes } from "../output.ts";
import { printable } from "../terminal_text.ts";
import { type Check, type CheckResult, fail, ok, skip, warn } from "./doctor_check.ts";

const OTHERS_ANY = 0o077;
/** Part of a bound above which a warning is shown. */
const NEARLY_FULL = 0.8;
/** Free space below which a warning is shown: a few received files. */
const LOW_DISK_BYTES = 256 * 1024 * 1024;
/** How much of the log's end is read. */
const LOG_TAIL_BYTES = 256 * 1024;
/** Errors older than this are history, milliseconds. */
const LOG_RECENT_MS = 24 * 60 * 60 * 1000;
/** Longest quotation from the log. */
const MAX_QUOTE = 200;
/** What might be a key or a token, if another program has written it. */
const SECRET_LIKE = /[A-Za-z0-9+/_=-]{32,}/g;
const ERROR_LINE = /(?:^|\s)level=(?:error|fatal)\b|"level":"(?:error|fatal)"/i;
const TIMESTAMP = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/;

const octal = (mode: number) => (mode & 0o7777).toString(8);
const hasModes = process.platform !== "win32";

async function statOf(path: string) {
  try {
    return await stat(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return undefined;
    throw PilotError.from(error, "io_error", `Cannot look at ${path}`);
  }
}

const home: Check = {
  id: "home",
  title: "Home directory",
  async run({ settings }) {
    const path = settings.home;
    const found = await statOf(path);
    if (found === undefined) {
      return warn(
        `${path} does not exist yet`,
        "The first start creates it: pilotctl daemon start",
      );
    }
    if (!found.isDirectory()) {
      return fail(`${path} is not a directory`, "Move it away, or name another one with --home.");
    }
    const canWrite = await access(path, constants.W_OK | constants.X_OK).then(
      () => true,
      () => false,
    );
    if (!canWrite) {
      return fail(
        `${path} is not writable`,
        "Give it to the user who runs the daemon (chown), or name another one with --home.",
      );
    }
    const fault = await whyNotPrivate(path);
    if (fault !== undefined) return fault;
    if (!hasModes || (found.mode & OTHERS_ANY) === 0) return ok(path);
    return warn(
      `${path} can be listed by other users (mode ${octal(found.mode)})`,
      `chmod 700 ${path}`,
    );
  },
};

/** Why the daemon would not start here; undefined when it would. */
async function whyNotPrivate(path: string): Promise<CheckResult | undefined> {
  try {
    const owner = await checkPrivateDir({ what: "Home directory", path });
    await checkPrivateDir({ what: "Inbox", path: join(path, "inbox") }, owner);
    await checkPrivateDir(
      { what: "Directory of received files", path: join(path, "received") },
      owner,
    );
    return undefined;
  } catch (thrown) {
    const error = PilotError.from(thrown, "io_error");
    return fail(error.message, hintOf(error) ?? `Look at ${path}`);
  }
}

const identity: Check = {
  id: "identity",
  title: "Identity",
  async run({ settings, options, info }) {
    const path = options?.identity ?? join(settings.home, "identity.json");
    let text: string | undefined;
    try {
      text = await readPrivateFile(path);
    } catch (thrown) {
      const error = PilotError.from(thrown, "io_error");
      return fail(
        error.message,
        hintOf(error) ?? `Make it readable for you only: chmod 600 ${path}`,
      );
    }
    if (text === undefined) {
      return info === undefined ? skip(`${path} is created at the first start`) : warn(
        `${path} is missing while a daemon runs`,
        "If the daemon keeps it elsewhere, set the config key identity; otherwise this will be a new agent after a " +
          "restart: restore the file.",
      );
    }
    let own: Identity;
    try {
      own = await Identity.fromFile(text);
    } catch (thrown) {
      const { message } = PilotError.from(thrown, "invalid_argument");
      return fail(
        `${path}: ${message}`,
        "Restore it from a backup. Without it this agent gets a new key and a new address.",
      );
    }
    const told = info?.public_key;
    if (typeof told === "string" && told !== "" && told !== own.publicKeyBase64) {
      return warn(
        "The running daemon has another identity than the file",
        "It serves another home, or the file was replaced: compare --home and --socket, then restart the daemon.",
      );
    }
    return ok(`${path}, readable by its owner only`);
  },
};

const config: Check = {
  id: "config",
  title: "Configuration",
  async run({ settings, configError }) {
    const path = settings.configPath;
    if (configError !== undefined) {
      return fail(configError.message, hintOf(configError) ?? `Correct ${path}`);
    }
    const found = await statOf(path);
    if (found === undefined) return ok(`${path} does not exist: defaults are used`);
    const { readRawConfig } = await import("../../platform/settings/mod.ts");
    const raw = readRawConfig(path);
    const holdsSecret = Object.keys(raw).some(isSecretKey);
    if (hasModes && holdsSecret && (found.mode & OTHERS_ANY) !== 0) {
      return fail(
        `${path} holds a secret and is readable by other users (mode ${octal(found.mode)})`,
        `chmod 600 ${path}`,
      );
    }
    const unknown = unknownConfigKeys(raw).filter((key) => !SECRET_CONFIG_KEYS.includes(key));
    if (unknown.length === 0) return ok(path);
    return warn(
      `${path} has keys that are not used: ${unknown.map(printable).join(", ")}`,
      "Check the spelling; `pilotctl config` lists what is known. Keys of other programs are harmless.",
    );
  },
};

const log: Check = {
  id: "log",
  title: "Log",
  async run({ settings }) {
    const text = await tail(settings.logPath);
    if (text === undefined) return skip(`${settings.logPath} does not exist`);
    const since = Date.now() - LOG_RECENT_MS;
    const errors = text.split("\n").filter((line) => ERROR_LINE.test(line)).filter((line) => {
      const [time] = TIMESTAMP.exec(line) ?? [];
      return time === undefined || Date.parse(time) >= since;
    });
    const last = errors.at(-1);
    if (last === undefined) return ok(`${settings.logPath}: no errors within a day`);
    const quote = printable(last.replace(SECRET_LIKE, "...")).slice(0, MAX_QUOTE);
    return warn(
      `${errors.length} errors within a day, the last one: ${quote}`,
      `See ${settings.logPath}`,
    );
  },
};

/** The end of a file, from the first whole line on. */
async function tail(path: string): Promise<string | undefined> {
  if (await statOf(path) === undefined) return undefined;
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const start = Math.max(0, size - LOG_TAIL_BYTES);
    const buffer = new Uint8Array(Math.min(size, LOG_TAIL_BYTES));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, start);
    const text = new TextDecoder().decode(buffer.subarray(0, bytesRead));
    return start === 0 ? text : text.slice(text.indexOf("\n") + 1);
  } finally {
    await file.close();
  }
}

const disk: Check = {
  id: "disk",
  title: "Disk space",
  async run({ settings }) {
    if (await statOf(settings.home) === undefined) return skip(`${settings.home} does not exist`);
    const { bavail, bsize } = await statfs(settings.home);
    const free = bavail * bsize;
    const detail = `${formatBytes(free)} free at ${settings.home}`;
    const fix = "Free some: pilotctl inbox --clear, pilotctl received --clear, or other files.";
    if (free < DISK_RESERVE_BYTES) return fail(`${detail}: no more files are received`, fix);
    return free < LOW_DISK_BYTES ? warn(detail, fix) : ok(detail);
  },
};

const mailbox: Check = {
  id: "mailbox",
  title: "Inbox and received files",
  async run({ settings }): Promise<CheckResult> {
    const [inbox, received] = await Promise.all([
      sizeOf(join(settings.home, "inbox"), INBOX_MAX_FILES),
      sizeOf(join(settings.home, "received"), RECEIVED_MAX_FILES),
    ]);
    const more = received.isWhole ? "" : " or more";
    const detail =
      `${counted(inbox.files, "message")} (${
        formatBytes(inbox.bytes)
      }), ${received.files}${more} ` +
      `received files (${formatBytes(received.bytes)})`;
    if (
      received.bytes > NEARLY_FULL * RECEIVED_MAX_BYTES ||
      received.files > NEARLY_FULL * RECEIVED_MAX_FILES
    ) {
      return warn(
        `${detail}; more are refused at ${RECEIVED_MAX_FILES} or ${
          formatBytes(RECEIVED_MAX_BYTES)
        }`,
        "Move them away, or: pilotctl received --clear",
      );
    }
    const isFull = inbox.files > NEARLY_FULL * INBOX_MAX_FILES ||
      inbox.bytes > NEARLY_FULL * INBOX_MAX_BYTES;
    if (!isFull) return ok(detail);
    return warn(
      `${detail}; more are refused at ${INBOX_MAX_FILES} or ${formatBytes(INBOX_MAX_BYTES)}`,
      "Read and remove them: pilotctl inbox --clear",
    );
  },
};

/** Files of a directory; not more than `atMost` are looked at. */
async function sizeOf(
  dir: string,
  atMost: number,
): Promise<{ files: number; bytes: number; isWhole: boolean }> {
  let names: string[];
  try {
    names = await readdir(dir);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return { files: 0, bytes: 0, isWhole: true };
    throw PilotError.from(error, "io_error", `Cannot read ${dir}`);
  }
  let files = 0;
  let bytes = 0;
  for (const name of names.slice(0, atMost)) {
    const found = await lstat(join(dir, name)).catch(() => undefined); // removed meanwhile
    if (found?.isFile() !== true) continue;
    files++;
    bytes += found.size;
  }
  return { files, bytes, isWhole: names.length <= atMost };
}

/** In the order of the report. */
export const HOME_CHECKS: readonly Check[] = [home, identity, config, log, disk, mailbox];
