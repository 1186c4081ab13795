/**
 * JSON requests and replies of the registry that a node uses (docs/protocol/registry.md §4). Field names are the
 * wire's. `signature` is base64 over the challenge of the request (challenge.ts).
 *
 * @module
 */

/** Fields of every request that a node signs. */
export interface SignedRequest {
  /** Base64 Ed25519 over the challenge. */
  signature?: string;
  /** Global admin token, accepted in place of a signature for some requests (§2.1). */
  admin_token?: string;
}

/** An extra way to reach a node. */
export interface RegistryEndpoint {
  /** Transport, for example `tcp`. */
  network: string;
  /** `host:port`. */
  addr: string;
}

/** Asks for a node number, or renews a registration (§4.1). */
export interface RegisterRequest {
  /** Request type. */
  type: "register";
  /** Base64 Ed25519 key. */
  public_key: string;
  /** `host:port` of the tunnel socket; the registry replaces the host by the TCP source. */
  listen_addr: string;
  /** Contact or account, free text. */
  owner?: string;
  /** Wished hostname. */
  hostname?: string;
  /** Software version. */
  version?: string;
  /** Registry protocol version, 1. */
  protocol_version?: number;
  /** `host:port` in the local network. */
  lan_addrs?: string[];
  /** Token for the identity webhook. */
  identity_token?: string;
  /** Extra ways to reach the node. */
  endpoints?: RegistryEndpoint[];
  /** Hide the real address from peers. */
  relay_only?: boolean;
  /** Ours: the run of the process, 16 random hex digits. */
  instance?: string;
  /** Base64 Ed25519 by the registering key. */
  signature?: string;
}

/** Answer to {@linkcode RegisterRequest}. */
export interface RegisterReply {
  /** Reply type. */
  type: "register_ok";
  /** The node's number. */
  node_id: number;
  /** Always 0. */
  network_id: number;
  /** Address on network 0. */
  address: string;
  /** The key, echoed. */
  public_key: string;
  /** Endpoint as the registry stored it. */
  observed_addr?: string;
  /** Registry protocol version. */
  protocol_version?: number;
  /** The hostname in force. */
  hostname?: string;
  /** Why the wished hostname was not given. */
  hostname_error?: string;
  /** Id of an external identity. */
  external_id?: string;
  /** Ours: another process uses the same key. */
  clash?: IdentityClash;
}

/** Ours: a process that uses the same key as the one that asks. */
export interface IdentityClash {
  /** Its address, as the registry sees it. */
  addr: string;
  /** Unix seconds since which it is known. */
  since: number;
}

/** Keeps a registration alive (§4.1). */
export interface HeartbeatRequest extends SignedRequest {
  /** Request type. */
  type: "heartbeat";
  /** Who. */
  node_id: number;
  /** Ours: the run of the process, 16 random hex digits. */
  instance?: string;
}

/** Answer to {@linkcode HeartbeatRequest}. */
export interface HeartbeatReply {
  /** Reply type. */
  type: "heartbeat_ok";
  /** The registry's clock, unix seconds. */
  time: number;
  /** The key expires within 24 h. */
  key_expiry_warning?: boolean;
  /** Ours: another process uses the same key. */
  clash?: IdentityClash;
}

/** Removes a node (§4.1). */
export interface DeregisterRequest extends SignedRequest {
  /** Request type. */
  type: "deregister";
  /** Who. */
  node_id: number;
}

/** Answer to {@linkcode DeregisterRequest}. */
export interface DeregisterReply {
  /** Reply type. */
  type: "deregister_ok";
}

/** Replaces the identity key, signed by the old one (§4.1). */
export interface RotateKeyRequest extends SignedRequest {
  /** Request type. */
  type: "rotate_key";
  /** Who. */
  node_id: number;
  /** Base64 Ed25519 key. */
  new_public_key: string;
}

/** Answer to {@linkcode RotateKeyRequest}. */
export interface RotateKeyReply {
  /** Reply type. */
  type: "rotate_key_ok";
  /** Who. */
  node_id: number;
  /** Address on network 0. */
  address: string;
  /** The new key. */
  public_key: string;
}

/** Public facts about a node; needs no signature (§4.2). */
export interface LookupRequest {
  /** Request type. */
  type: "lookup";
  /** About whom. */
  node_id: number;
}

/** Answer to {@linkcode LookupRequest}. */
export interface LookupReply {
  /** Reply type. */
  type: "lookup_ok";
  /** About whom. */
  node_id: number;
  /** Address on network 0. */
  address: string;
  /** Networks it is in, 0 included; null means none. */
  networks: number[] | null;
  /** Base64 Ed25519 key. */
  public_key: string;
  /** Anybody may resolve it. */
  public: boolean;
  /** Reputation from tasks, -1,000,000 to 1,000,000; 0 where a registry keeps none. */
  polo_score: number;
  /** Its hostname. */
  hostname?: string;
  /** Its tags. */
  tags?: string[] | null;
  /** It takes tasks. */
  task_exec?: boolean;
  /** Id of an external identity. */
  external_id?: string;
  /** Software version. */
  version?: string;
  /** `host:port`, only of public nodes. */
  real_addr?: string;
}

/** Where a node can be reached; signed by the requester (§4.2). */
export interface ResolveRequest extends SignedRequest {
  /** Request type. */
  type: "resolve";
  /** Whom to reach. */
  node_id: number;
  /** Who asks. */
  requester_id: number;
}

/** Answer to {@linkcode ResolveRequest}. */
export interface ResolveReply {
  /** Reply type. */
  type: "resolve_ok";
  /** Whom to reach. */
  node_id: number;
  /** `host:port`, may be empty. */
  real_addr: string;
  /** `host:port` in its local network. */
  lan_addrs?: string[] | null;
  /** Whole days since the key was made or rotated. */
  key_age_days?: number;
  /** Base64 Ed25519 key, where the registry gives it. */
  public_key?: string;
  /** Extra ways to reach it. */
  endpoints?: RegistryEndpoint[] | null;
}

/** Finds a node by hostname (§4.2). */
export interface ResolveHostnameRequest extends SignedRequest {
  /** Request type. */
  type: "resolve_hostname";
  /** Exact hostname. */
  hostname: string;
  /** Who asks. */
  requester_id?: number;
  /** Our extension: a signed request with this purpose also finds private nodes. */
  purpose?: "handshake";
}

/** Answer to {@linkcode ResolveHostnameRequest}. */
export interface ResolveHostnameReply {
  /** Reply type. */
  type: "resolve_hostname_ok";
  /** The node. */
  node_id: number;
  /** Its address on network 0. */
  address: string;
  /** Anybody may resolve it. */
  public: boolean;
  /** The hostname. */
  hostname: string;
}

/** Sets or clears the hostname (§4.2). */
export interface SetHostnameRequest extends SignedRequest {
  /** Request type. */
  type: "set_hostname";
  /** Whose. */
  node_id: number;
  /** The hostname; empty clears. */
  hostname: string;
}

/** Answer to {@linkcode SetHostnameRequest}. */
export interface SetHostnameReply {
  /** Reply type. */
  type: "set_hostname_ok";
  /** Whose. */
  node_id: number;
  /** The hostname in force. */
  hostname: string;
}

/** Public or private (§4.2). */
export interface SetVisibilityRequest extends SignedRequest {
  /** Request type. */
  type: "set_visibility";
  /** Whose. */
  node_id: number;
  /** True for public. */
  public: boolean;
}

/** Answer to {@linkcode SetVisibilityRequest}. */
export interface SetVisibilityReply {
  /** Reply type. */
  type: "set_visibility_ok";
  /** Whose. */
  node_id: number;
  /** In force now. */
  visibility: "public" | "private";
}

/** Replaces the tags (§4.2). */
export interface SetTagsRequest extends SignedRequest {
  /** Request type. */
  type: "set_tags";
  /** Whose. */
  node_id: number;
  /** All of them. */
  tags: string[];
}

/** Answer to {@linkcode SetTagsRequest}. */
export interface SetTagsReply {
  /** Reply type. */
  type: "set_tags_ok";
  /** Whose. */
  node_id: number;
  /** In force now; null when emptied. */
  tags: string[] | null;
}

/** Reports, revokes or checks a trust pair (§4.3). `check_trust` needs no signature. */
export interface TrustRequest extends SignedRequest {
  /** Request type. */
  type: "report_trust" | "revoke_trust" | "check_trust";
  /** One side, the signer. */
  node_id: number;
  /** The other. */
  peer_id: number;
}

/** Answer to {@linkcode TrustRequest}. */
export interface TrustReply {
  /** Reply type. */
  type: "report_trust_ok" | "revoke_trust_ok" | "check_trust_ok";
  /** Only of check_trust: the pair exists, or both share a network. */
  trusted?: boolean;
}

/** Leaves a trust request at the registry (§4.4). */
export interface RequestHandshakeRequest extends SignedRequest {
  /** Request type. */
  type: "request_handshake";
  /** Who asks. */
  from_node_id: number;
  /** Whom. */
  to_node_id: number;
  /** Why, at most 1024 bytes. */
  justification: string;
}

/** Answer to {@linkcode RequestHandshakeRequest}. */
export interface RequestHandshakeReply {
  /** Reply type. */
  type: "request_handshake_ok";
  /** `delivered`. */
  status: string;
}

/** Fetches, and thereby removes, what others left for us (§4.4). */
export interface PollHandshakesRequest extends SignedRequest {
  /** Request type. */
  type: "poll_handshakes";
  /** Who. */
  node_id: number;
}

/** A relayed trust request. */
export interface RelayedHandshakeRequest {
  /** Who asks. */
  from_node_id: number;
  /** Why. */
  justification: string;
  /** When, unix seconds. */
  timestamp: number;
  /** Its base64 Ed25519 key, where the registry gives it. */
  public_key?: string;
  /** Where it registered from, as a name that is the same for nodes of one host; our extension. */
  source?: string;
  /** The signed handshake message as JSON; our extension. */
  message?: string;
}

/** A relayed answer to a trust request. */
export interface RelayedHandshakeResponse {
  /** Who answers. */
  from_node_id: number;
  /** Consent. */
  accept: boolean;
  /** When, unix seconds. */
  timestamp: number;
  /** Its base64 Ed25519 key; our extension. */
  public_key?: string;
  /** The request was dropped unseen, as too many waited; our extension. */
  dropped?: boolean;
  /** The signed handshake message as JSON; our extension. */
  message?: string;
}

/** Word that a node has ended trust; our extension. */
export interface RelayedRevocation {
  /** Who ended it. */
  from_node_id: number;
  /** Its base64 Ed25519 key. */
  public_key?: string;
  /** When, unix seconds. */
  timestamp: number;
  /** The signed handshake message as JSON. */
  message?: string;
}

/** Answer to {@linkcode PollHandshakesRequest}. */
export interface PollHandshakesReply {
  /** Reply type. */
  type: "poll_handshakes_ok";
  /** Requests for us; null means none. */
  requests: RelayedHandshakeRequest[] | null;
  /** Answers to ours; null means none. */
  responses: RelayedHandshakeResponse[] | null;
  /** Trust that others have ended; only for requests with `ack`. */
  revocations?: RelayedRevocation[];
  /** What the next poll repeats as `ack` when all of this has been taken. */
  ack?: string;
}

/** Leaves the answer to a trust request at the registry (§4.4). */
export interface RespondHandshakeRequest extends SignedRequest {
  /** Request type. */
  type: "respond_handshake";
  /** Who answers. */
  node_id: number;
  /** Who asked. */
  peer_id: number;
  /** Consent. */
  accept: boolean;
}

/** Answer to {@linkcode RespondHandshakeRequest}. */
export interface RespondHandshakeReply {
  /** Reply type. */
  type: "respond_handshake_ok";
  /** Consent, echoed. */
  accept: boolean;
  /** Who asked, echoed. */
  peer_id: number;
}

/** A failed request (§3). */
export interface RegistryErrorReply {
  /** Reply type. */
  type: "error";
  /** What went wrong, possibly masked as `request failed`. */
  error: string;
}

/** Each request of a node with its reply, by request type. */
export interface RegistryCalls {
  /** §4.1. */
  register: { request: RegisterRequest; reply: RegisterReply };
  /** §4.1. */
  heartbeat: { request: HeartbeatRequest; reply: HeartbeatReply };
  /** §4.1. */
  deregister: { request: DeregisterRequest; reply: DeregisterReply };
  /** §4.1. */
  rotate_key: { request: RotateKeyRequest; reply: RotateKeyReply };
  /** §4.2. */
  lookup: { request: LookupRequest; reply: LookupReply };
  /** §4.2. */
  resolve: { request: ResolveRequest; reply: ResolveReply };
  /** §4.2. */
  resolve_hostname: {
    request: ResolveHostnameRequest;
    reply: ResolveHostnameReply;
  };
  /** §4.2. */
  set_hostname: { request: SetHostnameRequest; reply: SetHostnameReply };
  /** §4.2. */
  set_visibility: { request: SetVisibilityRequest; reply: SetVisibilityReply };
  /** §4.2. */
  set_tags: { request: SetTagsRequest; reply: SetTagsReply };
  /** §4.3. */
  report_trust: { request: TrustRequest; reply: TrustReply };
  /** §4.3. */
  revoke_trust: { request: TrustRequest; reply: TrustReply };
  /** §4.3. */
  check_trust: { request: TrustRequest; reply: TrustReply };
  /** §4.4. */
  request_handshake: {
    request: RequestHandshakeRequest;
    reply: RequestHandshakeReply;
  };
  /** §4.4. */
  poll_handshakes: {
    request: PollHandshakesRequest;
    reply: PollHandshakesReply;
  };
  /** §4.4. */
  respond_handshake: {
    request: RespondHandshakeRequest;
    reply: RespondHandshakeReply;
  };
}
