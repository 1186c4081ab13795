/**
 * The roles of a network's members (docs/protocol/registry.md §2.3).
 *
 * @module
 */

/** What a member may do. */
export type Role = "owner" | "admin" | "member";

/** Is the text a role? */
export function isRole(text: string): text is Role {
  return text === "owner" || text === "admin" || text === "member";
}
