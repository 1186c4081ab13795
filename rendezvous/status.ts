/**
 * Is a rendezvous running, and how is it? Asked of its HTTP endpoint, or of its store directory.
 *
 * @module
 */

import { get } from "node:http";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { unixSeconds } from "../platform/clock.ts";
import { exists } from "../platform/private_files.ts";
import { systemClock } from "../platform/system_clock.ts";
import { PilotError } from "../protocol/errors.ts";
import { formatEndpoint, parseEndpoint } from "../protocol/ip.ts";
import {
  isJsonObject,
  type JsonObject,
  numberField,
  textField,
} from "../protocol/registry/registry_message.ts";
import { isLocked } from "./registry/store/lock.ts";
import { refuseForeign } from "./registry/store/open_store.ts";
import { STATES } from "./registry/store/rows.ts";
import { DATABASE_FILE } from "./registry/store/sqlite.ts";
import { readStatusFile, storeBytes } from "./status_file.ts";

/** Longest wait for the HTTP endpoint, milliseconds. */
const HTTP_TIMEOUT_MS = 2_000;
/** Bytes of an answer that are read; a real one has about 700. */
const MAX_ANSWER_BYTES = 64 * 1024;
const WILDCARDS: readonly string[] = ["", "0.0.0.0", "::"];

/** Where the server is found. */
export interface StatusOptions {
  /** The store directory. */
  readonly store: string;
  /** HTTP endpoint of the server, `host:port`; it is then asked and the directory is not looked at. */
  readonly http?: string | undefined;
}

/**
 * Finds out about a rendezvous. Without HTTP the numbers are counted in the database, where a node counts as online
 * until the server has noticed its silence.
 *
 * @param options Where the server is found.
 * @returns `running`, and as far as known: `healthy`, `pid`, `version`, `uptime_seconds`, `registry`, `beacon`,
 * `http`, `nodes_online`, `nodes_total`, `trust_links`, `store`, `store_bytes`, `registry_key`, `tls_fingerprint`,
 * `join_uri`, `join_hint`.
 * What is not known is null.
 * @throws {PilotError} `unavailable` when the HTTP endpoint does not answer, `not_found` when there is no store,
 * `invalid_state` when it is not ours, `io_error`.
 */
export async function rendezvousStatus(options: StatusOptions): Promise<JsonObject> {
  if (options.http !== undefined) return running(await askHttp(options.http));
  const { store } = options;
  if (!await exists(join(store, DATABASE_FILE))) {
    throw new PilotError("not_found", `There is no registry store in ${store}`, {
      advice: { id: "name_store_or_http" },
    });
  }
  if (!await isLocked(store)) {
    // Not counted: a reader would leave files behind that only the server should make.
    return { running: false, store, store_bytes: await storeBytes(store) };
  }
  const told = await readStatusFile(store);
  const http = textField(told, "http");
  // An endpoint that does not answer is news, but what the directory says is still true.
  const live = http === "" ? undefined : await askHttp(http).catch(() => undefined);
  // Only what this server says: the port may be another's by now.
  if (live !== undefined && live["pid"] === told["pid"]) return running(live);
  const started = numberField(told, "started");
  return {
    running: true,
    healthy: null,
    ...told,
    uptime_seconds: started === 0 ? null : Math.max(0, unixSeconds(systemClock) - started),
    store,
    store_bytes: await storeBytes(store),
    ...count(store),
  };
}

function running({ status, ...answer }: JsonObject): JsonObject {
  return { running: true, healthy: status === "ok", ...answer };
}

/** Counts in the database, beside a server that may be writing to it. */
function count(store: string): JsonObject {
  const path = join(store, DATABASE_FILE);
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { readOnly: true });
    refuseForeign(db, path);
    const one = (sql: string) => Number(db!.prepare(sql).get()?.["n"]);
    return {
      nodes_online: one(`SELECT count(*) AS n FROM nodes WHERE state = ${STATES.indexOf("live")}`),
      nodes_total: one("SELECT count(*) AS n FROM nodes"),
      trust_links: one("SELECT count(*) AS n FROM trust"),
    };
  } catch (error) {
    throw PilotError.from(error, "io_error", `Cannot read ${path}`);
  } finally {
    db?.close();
  }
}

/** Not `fetch`: it would go through a proxy that the environment names. */
async function askHttp(address: string): Promise<JsonObject> {
  const { host, port } = parseEndpoint(address, { isListen: true });
  const hostname = WILDCARDS.includes(host) ? "127.0.0.1" : host;
  const where = `http://${formatEndpoint({ host: hostname, port })}/healthz`;
  try {
    const value: unknown = JSON.parse(await read(where));
    if (isJsonObject(value) && typeof value["status"] === "string") return value;
    throw new Error("this is not an answer of a rendezvous");
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new PilotError("unavailable", `No rendezvous answers at ${where}: ${reason}`, {
      cause,
      advice: (cause instanceof PilotError && cause.advice) || { id: "check_http" },
    });
  }
}

function read(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    // No connection is kept: the server may be about to end.
    const options = { agent: false, timeout: HTTP_TIMEOUT_MS, headers: { connection: "close" } };
    const request = get(url, options, (response) => {
      if (response.statusCode === 403) {
        request.destroy(
          new PilotError("denied", "it does not accept requests under that name", {
            advice: { id: "check_http_name" },
          }),
        );
      }
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
        if (text.length > MAX_ANSWER_BYTES) request.destroy(new Error("the answer is too long"));
      });
      response.on("end", () => resolve(text));
      response.on("error", reject);
    });
    request.on("timeout", () => request.destroy(new Error("no answer in time")));
    request.on("error", reject);
  });
}
