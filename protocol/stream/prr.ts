/**
 * Proportional rate reduction (RFC 6937, RFC 9937): through a recovery the flight shrinks to its target smoothly, one
 * part of what arrives at a time, instead of falling silent for half a round trip.
 *
 * @module
 */

/** Decides how much may be in flight during one fast recovery. All amounts are bytes. */
export class RateReduction {
  #target = 0;
  #from = 1;
  #delivered = 0;
  #sent = 0;
  #window = 0;

  /** Bytes that may be in flight until the next acknowledgement. */
  get window(): number {
    return this.#window;
  }

  /**
   * A recovery begins.
   *
   * @param from In flight when the loss was found.
   * @param target Window after the recovery.
   * @param flight In flight now, without what was lost.
   */
  start(from: number, target: number, flight: number): void {
    this.#from = Math.max(1, from);
    this.#target = target;
    this.#delivered = this.#sent = 0;
    this.#window = Math.min(flight, target);
  }

  /**
   * An acknowledgement was taken.
   *
   * @param delivered Newly arrived.
   * @param flight In flight now.
   * @param bonus Added while the flight is below the target and nothing more was lost: the segment size, else 0.
   */
  onAck(delivered: number, flight: number, bonus: number): void {
    this.#delivered += delivered;
    let room: number;
    if (flight > this.#target) {
      room = Math.ceil(this.#delivered * this.#target / this.#from) - this.#sent;
    } else {
      const limit = Math.max(this.#delivered - this.#sent, delivered) + bonus;
      room = Math.min(this.#target - flight, limit);
    }
    this.#window = flight + Math.max(0, room);
  }

  /** @param bytes Sent, for the first time or again. */
  onSent(bytes: number): void {
    this.#sent += bytes;
  }
}
