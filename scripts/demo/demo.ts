/**
 * The steps of the demo: two agents find each other, agree to talk, and talk.
 *
 * @module
 */

import { createHash, randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connect, type Driver } from "../../mod.ts";
import { measure, round } from "./figures.ts";
import { type Data, pilotctl, Server } from "./processes.ts";
import { RecordingRelay } from "./udp_tap.ts";
import type { Printer, Report } from "./demo_report.ts";
import { WIRE_KINDS, WireRecord } from "./wire_record.ts";

const FILE_BYTES = 20_000_000;
/** The file carries a secret every so many bytes, so that a datagram with any piece of it in clear holds one. */
const FILE_SECRET_EVERY = 256;
const POLL_MS = 10;
const TOPIC = "demo/greetings";

/** What a run needs. */
export interface DemoOptions {
  /** An empty directory; everything the demo writes is in it. */
  readonly directory: string;
  /** Ends the demo. */
  readonly signal: AbortSignal;
  /** For people. */
  readonly printer: Printer;
  /** Filled in step by step. */
  readonly report: Report;
}

/** One run. */
export class Demo {
  /** The step under way, for the verdict. */
  step = "start";
  readonly #options: DemoOptions;
  readonly #record = new WireRecord();
  readonly #homes: { readonly alice: string; readonly bob: string };

  constructor(options: DemoOptions) {
    this.#options = options;
    this.#homes = { alice: join(options.directory, "a"), bob: join(options.directory, "b") };
  }

  /**
   * Runs all steps.
   *
   * @throws {Error} Why the current {@linkcode step} failed; everything that was started has been stopped.
   */
  async run(): Promise<void> {
    const { directory, printer, signal } = this.#options;
    await mkdir(this.#homes.alice, { mode: 0o700 });
    await mkdir(this.#homes.bob, { mode: 0o700 });
    this.step = "rendezvous";
    const store = join(directory, "rendezvous");
    await using rendezvous = await Server.start("rendezvous", directory, [
      "rendezvous",
      ...["--registry-addr", "127.0.0.1:0", "--beacon-addr", "127.0.0.1:0", "--store", store],
    ], signal);
    const { registry, beacon } = rendezvous.ready as { registry: string; beacon: string };
    printer.heading("Two agents and a rendezvous, every UDP datagram recorded on its way");
    printer.line("rendezvous", `registry ${registry}, beacon ${beacon}`);
    await this.#recorded(registry, beacon);
    printer.heading(
      "Once more without the recorder: both daemons restarted, same addresses, same trust",
    );
    await this.#direct(registry, beacon);
  }

  /** Everything a user would do, with the recorder on the path. */
  async #recorded(registry: string, beacon: string): Promise<void> {
    this.step = "daemons";
    await using relay = new RecordingRelay(this.#record, beacon);
    const through = (name: string) => {
      const places = relay.add(name);
      return ["--registry", registry, "--beacon", places.beacon, "--endpoint", places.endpoint];
    };
    await using daemons = await this.#startDaemons(through);
    const { alice, bob } = daemons;
    const { report, printer } = this.#options;
    report.ready_ms = round(daemons.readyMs);
    report.addresses = { alice: await this.#address(alice), bob: await this.#address(bob) };
    printer.line("alice", report.addresses.alice!);
    printer.line("bob", report.addresses.bob!);
    printer.line("ready", `${report.ready_ms} ms after the start of the process`);
    await this.#handshake(alice, bob);
    await this.#ping();
    await this.#messages();
    await this.#file();
    await this.#event(alice);
    await this.#wire(relay);
  }

  /** The same daemons with nothing between them, to measure. */
  async #direct(registry: string, beacon: string): Promise<void> {
    this.step = "restart";
    const { report, printer, signal } = this.#options;
    await using daemons = await this.#startDaemons(() => [
      ...["--registry", registry, "--beacon", beacon],
    ]);
    const { alice, bob } = daemons;
    const before = report.addresses!;
    for (const [name, driver] of [["alice", alice], ["bob", bob]] as const) {
      const address = await this.#address(driver);
      check(address === before[name], `${name} was ${before[name]} and is now ${address}`);
    }
    const trusted = await alice.trust.peers({ signal });
    check(trusted.length === 1, `alice trusts ${trusted.length} agents after the restart`);
    this.step = "figures";
    Object.assign(report, await measure(alice, bob, "bob", signal));
    printer.line("ping", `p50 ${report.ping_p50_ms} ms`);
    printer.line("dial", `p50 ${report.dial_p50_ms} ms`);
    printer.line("bulk", `${report.bulk_mb_s} MB/s in one stream`);
  }

  async #startDaemons(args: (name: string) => string[]) {
    const { signal } = this.#options;
    await using stack = new AsyncDisposableStack();
    const start = async (name: "alice" | "bob") => {
      const home = this.#homes[name];
      const command = ["daemon", "run", "--listen", "127.0.0.1:0", "--hostname", name];
      const server = await Server.start(name, home, [...command, ...args(name)], signal);
      stack.use(server);
      const driver = await connect({ socket: join(home, "pilot.sock"), name: "demo", signal });
      stack.use(driver);
      return { driver, readyMs: server.readyMs };
    };
    // One after the other: their start-up times are part of the report.
    const alice = await start("alice");
    const bob = await start("bob");
    await Promise.all([this.#registered(alice.driver), this.#registered(bob.driver)]);
    const owned = stack.move();
    return {
      alice: alice.driver,
      bob: bob.driver,
      readyMs: Math.max(alice.readyMs, bob.readyMs),
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    };
  }

  /** Waits for the name: a daemon has it when its registration is complete. */
  async #registered(driver: Driver): Promise<void> {
    while ((await driver.info({ signal: this.#options.signal })).hostname === "") {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async #address(driver: Driver): Promise<string> {
    return (await driver.info({ signal: this.#options.signal })).address;
  }

  async #handshake(alice: Driver, bob: Driver): Promise<void> {
    this.step = "handshake";
    const { signal, report, printer } = this.#options;
    const started = performance.now();
    const [toBob, toAlice] = await Promise.all([
      alice.trust.request("bob", "We work on the same demo", { signal }),
      bob.trust.request("alice", "We do", { signal }),
    ]);
    await Promise.all([
      alice.trust.waitFor(toBob.node_id, { signal }),
      bob.trust.waitFor(toAlice.node_id, { signal }),
    ]);
    report.trust_ms = round(performance.now() - started);
    printer.line("handshake", `mutual, both sides trust each other after ${report.trust_ms} ms`);
  }

  async #ping(): Promise<void> {
    this.step = "ping";
    const data = await this.#as("alice", ["ping", "bob", "--count", "4", "--interval", "20ms"]);
    const { sent, received, rtt_p50_ms } = data;
    check(received === sent, `${received} of ${sent} pings were answered`);
    this.#options.printer.line("ping", `${received} of ${sent} answered, p50 ${rtt_p50_ms} ms`);
  }

  async #messages(): Promise<void> {
    this.step = "message";
    const question = `What is the answer? (${secret()})`;
    const answer = `42, of course (${secret()})`;
    await this.#message("alice", "bob", question);
    await this.#message("bob", "alice", answer);
  }

  async #message(from: "alice" | "bob", to: "alice" | "bob", text: string): Promise<void> {
    this.#record.watchFor(text);
    await this.#as(from, ["send-message", to, "--data", text]);
    const { messages } = await this.#as(to, ["inbox"]) as { messages: Data[] };
    const got = messages[0];
    const sender = this.#options.report.addresses![from];
    check(messages.length === 1, `${to} has ${messages.length} messages instead of one`);
    check(got?.data === text, `${to} got "${got?.data}" instead of "${text}"`);
    check(got?.from === sender, `The message is from ${got?.from} instead of ${sender}`);
    this.#options.printer.line("message", `${from} to ${to}: ${text}`);
  }

  async #file(): Promise<void> {
    this.step = "file";
    const { directory, report, printer } = this.#options;
    const path = join(directory, "demo.bin");
    const hash = await writeSecretFile(path, this.#record);
    const started = performance.now();
    await this.#as("alice", ["send-file", "bob", path]);
    const seconds = (performance.now() - started) / 1000;
    const { files } = await this.#as("bob", ["received"]) as { files: Data[] };
    check(files.length === 1, `bob has received ${files.length} files instead of one`);
    report.file_bytes = FILE_BYTES;
    report.file_mb_s = round(FILE_BYTES / 1e6 / seconds);
    report.file_sha256_ok = await sha256(String(files[0]!.path)) === hash;
    check(report.file_sha256_ok, "The SHA-256 of the received file differs");
    printer.line("file", `${FILE_BYTES / 1e6} MB in ${seconds.toFixed(1)} s, SHA-256 ${hash}`);
  }

  async #event(alice: Driver): Promise<void> {
    this.step = "event";
    const { signal, printer } = this.#options;
    const text = `Hello, subscribers (${secret()})`;
    this.#record.watchFor(text);
    await using subscription = await alice.subscribe("bob", TOPIC, { signal });
    const next = subscription.next({ signal });
    await this.#as("bob", ["publish", "bob", TOPIC, "--data", text]);
    const event = await next;
    const got = event === undefined ? "nothing" : new TextDecoder().decode(event.payload);
    check(got === text, `alice got "${got}" instead of "${text}"`);
    printer.line("event", `bob publishes to ${TOPIC}, alice hears: ${got}`);
  }

  async #wire(relay: RecordingRelay): Promise<void> {
    this.step = "wire";
    const { report, printer } = this.#options;
    const { kinds, datagrams, bytes, plaintextDatagrams } = this.#record;
    report.wire = kinds;
    report.plaintext_datagrams = plaintextDatagrams;
    const counts = WIRE_KINDS.map((kind) => `${kind} ${kinds[kind].datagrams}`).join(", ");
    printer.line("wire", `${datagrams} datagrams, ${round(bytes / 1e6)} MB: ${counts}`);
    printer.line("", `${plaintextDatagrams} of them with readable application bytes`);
    const { peers } = await this.#as("alice", ["peers"]) as { peers: Data[] };
    const endpoint = peers[0]?.endpoint;
    // Otherwise the recorder would have seen nothing because nothing went through it.
    check(endpoint === relay.endpointOf("bob"), `alice reaches bob at ${endpoint}, past the relay`);
    check(kinds.pils.bytes > FILE_BYTES, `Only ${kinds.pils.bytes} sealed bytes were recorded`);
    check(relay.failure === undefined, `The recorder failed: ${relay.failure}`);
    check(relay.strangers === 0, `${relay.strangers} datagrams came from unknown places`);
    check(kinds.other.datagrams === 0, `${kinds.other.datagrams} datagrams are of no known type`);
    check(plaintextDatagrams === 0, `${plaintextDatagrams} datagrams carried readable bytes`);
  }

  #as(name: "alice" | "bob", args: string[]): Promise<Data> {
    return pilotctl(this.#homes[name], args, this.#options.signal);
  }
}

/** Throws when something is not as it has to be. */
function check(condition: boolean, otherwise: string): void {
  if (!condition) throw new Error(otherwise);
}

/** Text that nothing else on the wire can hold by chance. */
function secret(): string {
  return randomBytes(8).toString("hex");
}

/** Writes a random file with a secret all over it, and returns its SHA-256. */
async function writeSecretFile(path: string, record: WireRecord): Promise<string> {
  const content = randomBytes(FILE_BYTES);
  const mark = randomBytes(16);
  record.watchFor(mark);
  for (let at = 0; at + mark.length <= content.length; at += FILE_SECRET_EVERY) {
    content.set(mark, at);
  }
  await writeFile(path, content, { mode: 0o600 });
  return createHash("sha256").update(content).digest("hex");
}

async function sha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest("hex");
}
