/**
 * `name query|register`: names at an agent that runs a nameserver (docs/protocol/nameserver.md).
 *
 * @module
 */

import { formatAddress, parseAddress } from "../../protocol/address.ts";
import { PilotError } from "../../protocol/errors.ts";
import { usageError } from "../command_failure.ts";
import type { CliDriver, Invocation } from "../invocation.ts";
import { fields, type Outcome, table } from "../output.ts";
import { parseDuration, parseNetwork, parsePort } from "../parse.ts";
import type { CommandGroup } from "../spec.ts";
import type { OptionSpec } from "../option_spec.ts";
import { plainClock } from "../../platform/clock.ts";
import { pause } from "../../platform/waiting.ts";

/** Pause of `--keep`, milliseconds: a record lives 5 minutes, so that one registration may fail. */
const REFRESH_MS = 2 * 60_000;

/** What the nameserver keeps. */
type RecordType = "A" | "N" | "S";

const TYPES = "A (address), N (network) or S (service)";
const TIMEOUT: OptionSpec = {
  flags: "--timeout <duration>",
  description: "Maximum wait (30s)",
  parse: parseDuration,
};

function typeOf(call: Invocation): RecordType {
  const type = call.arg(1, "type").toUpperCase();
  if (type === "A" || type === "N" || type === "S") return type;
  throw usageError(`Not a record type: "${call.args[1]}"`, `It is ${TYPES}.`);
}

/** No more arguments than the record type has. */
function checkCount(call: Invocation, type: RecordType, most: number): void {
  if (call.args.length > most) {
    throw usageError(
      `Too many arguments for a record of type ${type}`,
      "See: pilotctl name --help",
    );
  }
}

function waitOptions(call: Invocation) {
  return { signal: call.signal, timeoutMs: call.options.number("timeout") };
}

async function query(call: Invocation): Promise<Outcome> {
  const server = call.arg(0, "server");
  const type = typeOf(call);
  const name = call.arg(2, type === "S" ? "network" : "name");
  checkCount(call, type, type === "S" ? 4 : 3);
  const options = waitOptions(call);
  if (type === "S") {
    const network = parseNetwork(name);
    const port = parsePort(call.arg(3, "port"));
    const found = await (await call.driver()).names(server).queryService(network, port, options);
    const providers = found.map(({ name, address, port }) => {
      return { name, address: formatAddress(address), port };
    });
    const rows = providers.map(({ name, address, port }) => [name, address, port]);
    return {
      data: { type, network_id: network, port, providers },
      text: rows.length === 0
        ? call.style.dim("No providers")
        : table(["NAME", "ADDRESS", "PORT"], rows, call.style),
    };
  }
  const names = (await call.driver()).names(server);
  if (type === "N") {
    const network = await names.queryNetwork(name, options);
    return {
      data: { type, name, network_id: network },
      text: fields([["Name", name], ["Network", network]]),
    };
  }
  const address = formatAddress(await names.queryAddress(name, options));
  return { data: { type, name, address }, text: fields([["Name", name], ["Address", address]]) };
}

/** Makes the registration, checked before anything is sent, and its text. */
function registration(
  call: Invocation,
): { data: Record<string, unknown>; send: (driver: CliDriver) => Promise<void> } {
  const server = call.arg(0, "server");
  const type = typeOf(call);
  const name = call.arg(2, "name");
  const addressText = call.options.text("address");
  if (type === "N" && addressText !== undefined) throw usageError("A network has no --address");
  const address = addressText === undefined ? undefined : parseAddress(addressText);
  const options = { ...waitOptions(call), address };
  if (type === "A") {
    checkCount(call, type, 3);
    const send = (driver: CliDriver) => driver.names(server).registerAddress(name, options);
    return { data: { type, name }, send };
  }
  const network = parseNetwork(call.arg(3, "network"));
  if (type === "N") {
    checkCount(call, type, 4);
    const send = (driver: CliDriver) =>
      driver.names(server).registerNetwork(name, network, waitOptions(call));
    return { data: { type, name, network_id: network }, send };
  }
  const port = parsePort(call.arg(4, "port"));
  const send = (driver: CliDriver) =>
    driver.names(server).registerService({ name, network, port }, options);
  return { data: { type, name, network_id: network, port }, send };
}

async function register(call: Invocation): Promise<Outcome | undefined> {
  const { data, send } = registration(call);
  await send(await call.driver());
  const text = `Registered ${data.name} for 5 minutes`;
  if (!call.options.has("keep")) return { data, text };
  call.emit({ status: "ok", data }, `${text}, again and again until interrupted`);
  for (;;) {
    await pause(plainClock, REFRESH_MS, call.signal);
    if (call.signal.aborted) return undefined;
    try {
      await send(await call.driver());
    } catch (thrown) {
      const error = PilotError.from(thrown, "connection_failed");
      if (error.code === "aborted") return undefined;
      if (error.code === "denied") throw error;
      // Whatever else it was may be over the next time, a daemon that was restarted as well.
      call.note(`${error.message}; trying again`);
      await call.disconnect();
    }
  }
}

/** Names at a nameserver. */
export const namesGroup: CommandGroup = {
  title: "Names",
  commands: [{
    name: "name",
    summary: "Query a nameserver, or register names with it",
    commands: [
      {
        name: "query",
        summary: "Query an address, a network or the providers of a service",
        args: "<server> <type> <name|network> [port]",
        options: [TIMEOUT],
        notes: `The type is ${TYPES}.`,
        examples: [
          "name query ns A printer",
          "name query ns N lab",
          "name query ns S 0 8080",
        ],
        returns:
          "type; A: name, address; N: name, network_id; S: network_id, port, providers[{name, address, port}]",
        run: query,
      },
      {
        name: "register",
        summary: "Register a name for 5 minutes",
        args: "<server> <type> <name> [network] [port]",
        options: [
          { flags: "--address <address>", description: "Address of A and S (our own)" },
          { flags: "--keep", description: "Register again every 2 minutes until interrupted" },
          TIMEOUT,
        ],
        notes: `The type is ${TYPES}.`,
        examples: [
          "name register ns A printer",
          "name register ns N lab 7",
          "name register ns S printer 0 8080 --keep",
        ],
        returns: "type, name; N: network_id; S: network_id, port",
        run: register,
      },
    ],
  }],
};
