"""Calls the simulator through Stripe's official library, and asserts its responses."""

import json
import statistics
import sys
import time
import urllib.request

import stripe

BASE = sys.argv[1]
API = "/v2/provisioning"


def client(key="rk_test_x", retries=0):
    return stripe.StripeClient(key, base_addresses={"api": BASE}, max_network_retries=retries)


provisioning = client().v2.provisioning


def admin(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(BASE + path, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request) as response:
        return response.read().decode()


def inject(on, name, **more):
    admin("POST", "/_simulator/faults", {"on": on, "fault": name, **more})


def refused(kind, call, status=None, code=None):
    try:
        call()
    except stripe.StripeError as error:
        assert type(error) is kind, f"{type(error).__name__} instead of {kind.__name__}: {error}"
        assert status is None or error.http_status == status, f"{error.http_status}: {error}"
        assert code is None or error.code == code, f"{error.code}: {error}"
        return error
    raise AssertionError(f"{kind.__name__} was not raised")


def eligibility_and_project():
    eligibility = provisioning.eligibility.retrieve()
    assert type(eligibility) is stripe.v2.provisioning.Eligibility
    assert eligibility.is_eligible is True and eligibility.requirements == [] and eligibility.livemode is False
    assert eligibility.last_response.request_id.startswith("req_")
    assert client("sk_live_x").v2.provisioning.eligibility.retrieve().livemode is True
    project = provisioning.projects.create({"name": "demo", "catalog": "prod"})
    assert type(project) is stripe.v2.provisioning.Project
    assert (project.name, project.catalog, project.livemode) == ("demo", "prod", False)
    return project


def catalog():
    page = provisioning.catalog.services.list()
    assert len(page.data) == 10 and page.next_page_url.startswith(API)
    services = list(page.auto_paging_iter())
    assert len(services) == len({service.id for service in services}) == 23
    assert all(type(service) is stripe.v2.provisioning.ProviderServiceDetail for service in services)
    providers = list(provisioning.catalog.providers.list({"limit": 4}).auto_paging_iter())
    assert len(providers) == 13 and all(type(p) is stripe.v2.provisioning.Provider for p in providers)
    mine = list(provisioning.catalog.services.list({"provider_name": "Supermemory", "limit": 1}).auto_paging_iter())
    assert [service.service_id for service in mine] == ["memory"]
    assert "plan" in mine[0].configuration_schema["properties"]
    assert list(provisioning.catalog.providers.list({"development": True}).auto_paging_iter()) == []
    return next(provider for provider in providers if provider.name == "Supermemory"), mine[0]


def connection():
    provider = next(p for p in provisioning.catalog.providers.list({"limit": 100}).data if p.name == "Chroma")
    parameters = {"provider": provider.id, "service_ref": "database", "configuration": {"name": "agent"}}
    refused(stripe.InvalidRequestError, lambda: provisioning.resources.create(parameters), 400, "provider_not_connected")
    request = provisioning.provider_connection_requests.create({"provider": provider.id, "configuration": {}})
    assert type(request) is stripe.v2.provisioning.ProviderConnectionRequest
    assert request.request_status == "pending_auth" and request.redirect_url.startswith(BASE)
    with urllib.request.urlopen(request.redirect_url) as page:
        assert page.status == 200 and b"<form" in page.read(), "the page asks, and changes nothing"
    request = provisioning.provider_connection_requests.retrieve(request.id)
    assert request.request_status == "pending_auth"
    with urllib.request.urlopen(request.redirect_url, data=b"") as page:
        assert page.status == 200
    request = provisioning.provider_connection_requests.retrieve(request.id)
    assert request.request_status == "complete" and request.provider_connection.status == "active"
    connections = list(provisioning.provider_connections.list({"limit": 5}).auto_paging_iter())
    assert len(connections) == 13 and request.provider_connection.id in {c.id for c in connections}
    assert provisioning.resources.create(parameters).status == "complete"
    assert provisioning.provider_connections.unlink(request.provider_connection.id).status == "expired"


def limit(provider):
    limits = {"currency": "usd", "max_amount": 2500, "recurring_interval": "month"}
    profile = provisioning.payment_profile.update_limit({"provider": provider.id, "usage_limits": limits})
    assert type(profile) is stripe.v2.provisioning.PaymentProfile
    read = provisioning.payment_profile.retrieve()
    mine = next(shared for shared in read.providers if shared.provider == provider.id)
    assert mine.usage_limits.max_amount == 2500, "an integer for the caller, a string on the wire"
    assert '"max_amount":"2500"' in read.last_response.body
    request = provisioning.payment_method_requests.create({"usage_limits": limits})
    assert type(request) is stripe.v2.provisioning.PaymentMethodRequest and request.status == "checkout_initiated"


def resource(project, provider, service):
    parameters = {
        "provider": provider.id,
        "service_ref": service.service_id,
        "configuration": {"plan": "pro"},
        "project": project.id,
        "name": "memory",
        "environment": "dev",
    }
    once = {"idempotency_key": "provision:proj_0123456789abcdef01234567"}
    created = provisioning.resources.create(parameters, once)
    assert type(created) is stripe.v2.provisioning.Resource
    assert (created.status, created.provider, created.service_ref, created.name) == ("complete", provider.id, "memory", "memory")
    again = provisioning.resources.create(parameters, once)
    assert again.id == created.id and again.last_response.headers["Idempotent-Replayed"] == "true"
    refused(stripe.IdempotencyError, lambda: provisioning.resources.create({**parameters, "name": "x"}, once), 400)

    def reveal():
        return provisioning.resources.reveal_access_configuration(created.id)

    assert provisioning.resources.retrieve(created.id).status == "complete"
    first = reveal()
    assert type(first) is stripe.v2.provisioning.ResourceAccessConfiguration
    assert first.resource == created.id and set(first.configuration.to_dict()) == {"API_KEY", "PROJECT_ID"}
    assert reveal().configuration["API_KEY"] == first.configuration["API_KEY"]
    assert provisioning.resources.rotate_credentials(created.id).status == "complete"
    assert reveal().configuration["API_KEY"] != first.configuration["API_KEY"]
    assert provisioning.resources.update(created.id, {"configuration": {"plan": "max"}}).id == created.id

    inject(f"POST {API}/resources", "needs_information")
    incomplete = provisioning.resources.create(parameters)
    assert incomplete.status == "needs_information"
    assert incomplete.needs_information_schema["required"] == ["company_name"]
    information = {"submitted_information": {"company_name": "x"}}
    assert provisioning.resources.submit_information(incomplete.id, information).status == "complete"
    assert provisioning.resources.unlink(incomplete.id).id == incomplete.id
    linked = provisioning.resources.link({"provider": provider.id, "service_ref": "memory", "project": project.id})
    assert linked.status == "complete"
    return created, parameters


def injected_faults(created, parameters):
    """The library's own retries succeed, and a retried creation takes effect once."""
    retrying = client(retries=2).v2.provisioning
    for name in ["drop_before", "drop_after", "error_before", "error_after", "conflict", "rate_limited"]:
        key = {"idempotency_key": f"fault-{name}"}
        inject(f"POST {API}/resources", name)
        if name == "rate_limited":  # not retried by this library
            refused(stripe.RateLimitError, lambda: retrying.resources.create(parameters, key), 429)
        resource = retrying.resources.create(parameters, key)
        assert resource.status == "complete", name
        replayed = resource.last_response.headers.get("Idempotent-Replayed") == "true"
        assert replayed == name.endswith("_after"), name
        assert retrying.resources.create(parameters, key).id == resource.id
    inject(f"POST {API}/resources/{{id}}/rotate_credentials", "pending", polls=1)
    assert provisioning.resources.rotate_credentials(created.id).status == "pending"
    status = lambda: provisioning.resources.retrieve(created.id).status
    assert [status(), status()] == ["pending", "complete"]


def errors(created, parameters):
    create = lambda: provisioning.resources.create(parameters)
    on = f"POST {API}/resources"
    refused(stripe.AuthenticationError, lambda: client("nonsense").v2.provisioning.eligibility.retrieve(), 401)
    old = {"stripe_version": "2025-01-01"}
    refused(stripe.InvalidRequestError, lambda: provisioning.eligibility.retrieve(None, old), 400)
    error = refused(stripe.InvalidRequestError, lambda: provisioning.resources.create({"provider": "x"}), 400)
    assert error.param == "service_ref"
    missing = lambda: provisioning.resources.retrieve("fres_none")
    refused(stripe.InvalidRequestError, missing, 404, "resource_missing")
    wrong = {**parameters, "configuration": {"plan": "gold"}}
    error = refused(stripe.InvalidRequestError, lambda: provisioning.resources.create(wrong), 400)
    assert error.param == "configuration.plan"
    for name, kind, status in [
        ("rate_limited", stripe.RateLimitError, 429),
        ("declined", stripe.CardError, 402),
        ("requirement", stripe.PermissionError, 403),
        ("conflict", stripe.APIError, 409),
        ("error_before", stripe.APIError, 500),
        ("garbage", stripe.APIError, 200),
        ("drop_before", stripe.APIConnectionError, None),
    ]:
        inject(on, name)
        refused(kind, create, status)
    inject(on, "errored")
    errored = create()
    assert errored.status == "errored" and errored.error_message
    inject(on, "unknown_status")
    assert create().status == "reticulating"
    refused(
        stripe.InvalidRequestError,
        lambda: provisioning.resources.reveal_access_configuration(errored.id),
    )


def end(created):
    assert provisioning.resources.remove(created.id).status == "removed"
    assert provisioning.resources.remove(created.id).status == "removed"
    assert provisioning.resources.retrieve(created.id).status == "removed"
    rotate_removed = lambda: provisioning.resources.rotate_credentials(created.id)
    refused(stripe.InvalidRequestError, rotate_removed, 404, "resource_missing")


def speed(created):
    """Measures requests over one persistent connection, without the library."""
    import http.client

    connection = http.client.HTTPConnection(BASE.removeprefix("http://"))
    headers = {"Authorization": "Bearer rk_test_x", "Stripe-Version": stripe.api_version}
    times = []
    for _ in range(1000):
        before = time.perf_counter()
        connection.request("GET", f"{API}/resources/{created.id}", headers=headers)
        response = connection.getresponse()
        response.read()
        times.append(time.perf_counter() - before)
        assert response.status == 200
    return statistics.median(times) * 1e6


project = eligibility_and_project()
provider, service = catalog()
connection()
limit(provider)
created, parameters = resource(project, provider, service)
injected_faults(created, parameters)
errors(created, parameters)
median = speed(created)
end(created)
print(f"Stripe's library {stripe.VERSION} works unchanged; GET /resources/{{id}} takes {median:.0f} µs (median of 1000)")
