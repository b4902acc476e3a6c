import type { RegistrationRequest } from '@membrane/protocol';
import type { Endpoint } from '../domain/membrane-node.js';
import type { InstanceDescription } from '../domain/registration.js';

/** What a registrant says of itself, with the defaults for what it does not say. */
export function describeInstance(
  request: RegistrationRequest,
  heartbeatIntervalMs: number,
): InstanceDescription {
  const { endpoint, communication_mode: communicationMode } = request;
  return {
    endpoint,
    communicationMode,
    endpoints: request.endpoints?.map(toEndpoint) ?? null,
    healthCheckUrl: request.health_check_url ?? null,
    metadata: request.metadata ?? {},
    weight: request.weight ?? 1,
    relay: request.relay ?? false,
    heartbeatIntervalMs: request.heartbeat_interval_ms ?? heartbeatIntervalMs,
  };
}

function toEndpoint({
  mode,
  address,
  realm,
}: NonNullable<RegistrationRequest['endpoints']>[number]): Endpoint {
  return realm == null ? { mode, address } : { mode, address, realm };
}
