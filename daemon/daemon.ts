/**
 * One daemon: how it starts, what it answers to its clients, and how it stops. {@linkcode Daemon.start} is what
 * `main.ts` and the tests call; `assemble.ts` says how the parts hang together.
 *
 * @module
 */

import { formatAddress } from "../protocol/address.ts";
import { KeyPair } from "../protocol/crypto/mod.ts";
import { parseEndpoint } from "../protocol/ip.ts";
import type { DaemonHealth, DaemonInfo } from "../protocol/ipc/mod.ts";
import type { PathReport } from "../protocol/path/mod.ts";
import type { Emit } from "../protocol/lifecycle_events.ts";
import type { Clock } from "../platform/clock.ts";
import { turnClock } from "../platform/system_clock.ts";
import { logOf } from "../platform/log.ts";
import { openUdpSocket } from "../platform/net/open_udp_socket.ts";
import type { UdpSocket } from "../platform/net/udp.ts";
import { RegistryClient } from "../platform/registry_client.ts";
import type { DaemonOptions } from "../platform/settings/mod.ts";
import { VERSION } from "../platform/version.ts";
import { assemble, type Parts } from "./assemble.ts";
import { chooseAead } from "./crypto/choose.ts";
import { openHome } from "./home.ts";
import { DaemonHttp } from "./http/daemon_http.ts";
import { daemonHealth, daemonInfo, type InfoParts, pathTo } from "./info.ts";
import type { Backend, DirectoryBackend, NetworkBackend, TrustBackend } from "./ipc/backend.ts";
import { IpcServer } from "./ipc/ipc_server.ts";
import { random } from "./random.ts";
import { NodeRegistry } from "./registry/node_registry.ts";
import { attachServices } from "./service/services.ts";
import type { Service } from "./service/service_port.ts";
import { StateFiles } from "./state_files.ts";
import { openTrust } from "./trust/open_trust.ts";
import { warmUp } from "./warm_up.ts";

/** How long open connections may take to deliver what they hold when the daemon stops. */
export const SHUTDOWN_GRACE_MS = 2_000;

/** A running daemon. */
export class Daemon implements Backend, AsyncDisposable {
  /** Software version. */
  readonly version = VERSION;
  /** Streams, datagrams, pings. */
  readonly network: NetworkBackend;
  /** Mutual consent. */
  readonly trust: TrustBackend;
  /** The registry in our name. */
  readonly directory: DirectoryBackend;
  /** Reports a lifecycle event. */
  readonly emit: Emit;
  /** Subscribes to lifecycle events. */
  readonly onEvent: Backend["onEvent"];
  /** What it is made of. */
  readonly parts: Parts;
  readonly #startedMs: number;
  #services: readonly Service[] = [];
  #ipc: IpcServer | undefined;
  #http: DaemonHttp | undefined;
  #stopping: Promise<void> | undefined;
  #warmingUp: Promise<number> | undefined;

  private constructor(parts: Parts) {
    this.parts = parts;
    this.#startedMs = parts.clock.now();
    this.network = parts.stack;
    this.trust = parts.trust;
    this.directory = parts.directory;
    this.emit = parts.events.emit;
    this.onEvent = (listener) => parts.events.subscribe(listener);
  }

  /**
   * Starts a daemon. When it resolves, the IPC socket answers; registration continues in the background.
   *
   * @param options See {@linkcode DaemonOptions}.
   * @param clock Time; tests may turn it themselves.
   * @returns The running daemon.
   * @throws {PilotError} `already_exists` when another daemon serves the socket or the UDP port is taken,
   * `invalid_argument` for damaged state files, `denied` for files that others may read and directories that they may
   * change, `io_error`, `unavailable` when the UDP socket or AEAD asked for does not work here.
   */
  static async start(options: DaemonOptions, clock: Clock = turnClock): Promise<Daemon> {
    await openHome(options);
    const files = new StateFiles(options.home, options.identity, options);
    const identity = await files.identity();
    const known = await files.node(identity.publicKeyBase64);
    const log = logOf("daemon");
    const trust = await openTrust(
      files,
      clock.unixNow(),
      (message, fields) => log("warn", message, fields),
    );
    const client = new RegistryClient({
      address: options.registry,
      clock,
      fingerprint: options.registryTls === true ? options.registryFingerprint : undefined,
      pinnedKey: options.registryKey,
    });
    const registry = new NodeRegistry({ client, identity });
    if (known !== undefined) registry.assume(known.node);
    const keyPair = await KeyPair.generate();
    const { host, port } = parseEndpoint(options.listen, { isListen: true });
    const aead = chooseAead(options.aead);
    let socket: UdpSocket;
    try {
      socket = await openUdpSocket({ host, port, kind: options.udp });
    } catch (error) {
      aead.close();
      await trust.close();
      throw error;
    }
    const daemon = new Daemon(assemble({
      ...{ options, clock, socket, aead, keyPair, files, registry, client, known },
      openTrust: trust,
    }));
    try {
      await daemon.#open();
    } catch (error) {
      await daemon.stop();
      throw error;
    }
    return daemon;
  }

  /** Our node number; 0 before the first registration. */
  get node(): number {
    return this.parts.registry.node;
  }

  /** Our address on the backbone; undefined before the first registration. */
  get address(): string | undefined {
    return this.node === 0 ? undefined : formatAddress({ network: 0, node: this.node });
  }

  /** Base64 identity key. */
  get publicKey(): string {
    return this.parts.registry.identity.publicKeyBase64;
  }

  /** The tunnel's UDP socket. */
  get socket(): UdpSocket {
    return this.parts.socket;
  }

  info(): DaemonInfo {
    return daemonInfo(this.#infoParts());
  }

  health(): DaemonHealth {
    return daemonHealth(this.#infoParts());
  }

  path(node: number): PathReport {
    return pathTo(this.parts.stack, node);
  }

  /** Ends everything in order; what connections hold is delivered within {@linkcode SHUTDOWN_GRACE_MS}. */
  stop(): Promise<void> {
    return this.#stopping ??= this.#stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #infoParts(): InfoParts {
    return {
      ...this.parts,
      uptimeMs: this.parts.clock.now() - this.#startedMs,
      commonSocket: this.#ipc?.common,
      http: this.#http?.addr,
      services: this.#services,
    };
  }

  async #open(): Promise<void> {
    const { options, clock, registry, stack, registration, registrant, change, beacon, aead } =
      this.parts;
    // First the socket: when another daemon serves it, nothing of ours may be visible.
    const { socket: path, commonSocket: common } = options;
    this.#ipc = await IpcServer.listen({ path, common, backend: this, clock });
    if (options.http !== undefined) {
      this.#http = new DaemonHttp({
        ...{ addr: options.http, clock, events: this.parts.events },
        parts: () => this.#infoParts(),
      });
    }
    this.#services = await attachServices({ backend: this, options, clock });
    this.parts.trust.start();
    stack.start(beacon);
    if (this.node !== 0) await stack.setSelf(this.node, registry.identity);
    registration.start(registrant);
    change.watch();
    this.#warmingUp = warmUp({ clock, random, aead: aead.factory });
    options.ready?.({ socket: options.socket, pid: Deno.pid });
  }

  async #stop(): Promise<void> {
    const { change, finder, registration, stack, client, memberships } = this.parts;
    change.close();
    finder?.close();
    await registration.stop();
    await this.#ipc?.close();
    await this.#http?.close();
    for (const service of this.#services) await service.close();
    await stack.stop(SHUTDOWN_GRACE_MS);
    // Its requests under way must not wait for a registry that does not answer.
    await client.close();
    memberships.close();
    await this.parts.trust.stop();
    await this.parts.openTrust.close();
    await this.parts.invites.stop();
    await this.parts.directory.close();
    stack.close();
    await this.parts.socket.close();
    await this.#warmingUp;
    this.parts.aead.close();
  }
}
