/**
 * Local addresses for agents: handed out in order from one IPv4 subnet.
 *
 * @module
 */

import { isIPv4 } from "node:net";
import { PilotError } from "../protocol/errors.ts";

/** Addresses that one gateway hands out at most; each costs a listener per port. */
export const MAX_MAPPINGS = 1_024;

function toNumber(ip: string): number {
  return ip.split(".").reduce((value, part) => value * 256 + Number(part), 0);
}

function toText(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join(".");
}

/** The machine itself: what answers there are its own services. */
const LOCALHOST = toNumber("127.0.0.1");

/** An IPv4 subnet and which of its addresses are taken. */
export class Subnet {
  /** Text form, `a.b.c.d/n`. */
  readonly cidr: string;
  readonly #first: number;
  readonly #size: number;
  readonly #taken: Set<number>;
  readonly #reserved: number;

  /**
   * @param cidr For example `127.77.0.0/16`; the prefix is 8..30.
   * @throws {PilotError} `invalid_argument`.
   */
  constructor(cidr: string) {
    const [ip = "", bits = ""] = cidr.split("/");
    const prefix = Number(bits);
    if (!isIPv4(ip) || !/^\d{1,2}$/.test(bits) || prefix < 8 || prefix > 30) {
      throw new PilotError("invalid_argument", `Not an IPv4 subnet: "${cidr}"`, {
        hint: "Write it like 127.77.0.0/16, with a prefix from 8 to 30.",
      });
    }
    this.cidr = cidr;
    this.#size = 2 ** (32 - prefix);
    this.#first = toNumber(ip) - toNumber(ip) % this.#size;
    // With at least eight bits of prefix the first byte shows it: unspecified, multicast, reserved and broadcast.
    const firstByte = Math.floor(this.#first / 2 ** 24);
    if (firstByte === 0 || firstByte >= 224) {
      throw new PilotError("invalid_argument", `${cidr} holds no addresses of single machines`, {
        hint: "Take a subnet like 127.77.0.0/16, or a private one like 10.4.0.0/16.",
      });
    }
    // Never handed out.
    this.#taken = new Set([LOCALHOST - this.#first].filter((at) => at > 0 && at < this.#size));
    this.#reserved = this.#taken.size;
  }

  /**
   * Takes an address.
   *
   * @param wanted The address to take; default the lowest free one.
   * @returns The address.
   * @throws {PilotError} `invalid_argument` for one outside the subnet, `already_exists` for a taken one,
   * `limit_exceeded` when none is free.
   */
  take(wanted?: string): string {
    if (wanted !== undefined) return this.#takeWanted(wanted);
    // Neither the network's own nor its broadcast address.
    const most = MAX_MAPPINGS + this.#reserved;
    for (let offset = 1; offset < this.#size - 1 && this.#taken.size < most; offset++) {
      if (this.#taken.has(offset)) continue;
      this.#taken.add(offset);
      return toText(this.#first + offset);
    }
    throw new PilotError("limit_exceeded", `No free address in ${this.cidr}`, {
      advice: { id: "larger_subnet" },
    });
  }

  /** Gives an address back. */
  release(ip: string): void {
    this.#taken.delete(toNumber(ip) - this.#first);
  }

  #takeWanted(ip: string): string {
    const offset = isIPv4(ip) ? toNumber(ip) - this.#first : -1;
    if (offset < 1 || offset >= this.#size - 1) {
      throw new PilotError("invalid_argument", `${ip} is not an address of ${this.cidr}`);
    }
    if (this.#first + offset === LOCALHOST) {
      throw new PilotError("invalid_argument", `${ip} is this machine, no agent can have it`, {
        hint: "Take another address of 127.0.0.0/8.",
      });
    }
    if (this.#taken.has(offset)) {
      throw new PilotError("already_exists", `${ip} is mapped already`);
    }
    this.#taken.add(offset);
    return ip;
  }
}
