"""Drives the simulator through Stripe's own library, and asserts what it answers."""

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


def control(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(BASE + path, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request) as answer:
        return answer.read().decode()


def fault(on, name, **more):
    control("POST", "/_simulator/faults", {"on": on, "fault": name, **more})


def refused(kind, call, status=None, code=None):
    try:
        call()
    except stripe.StripeError as error:
        assert type(error) is kind, f"{type(error).__name__} instead of {kind.__name__}: {error}"
        assert status is None or error.http_status == status, f"{error.http_status}: {error}"
        assert code is None or error.code == code, f"{error.code}: {error}"
        return error
    raise AssertionError(f"{kind.__name__} did not come")


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
    wanted = {"provider": provider.id, "service_ref": "database", "configuration": {"name": "agent"}}
    refused(stripe.InvalidRequestError, lambda: provisioning.resources.create(wanted), 400, "provider_not_connected")
    request = provisioning.provider_connection_requests.create({"provider": provider.id, "configuration": {}})
    assert type(request) is stripe.v2.provisioning.ProviderConnectionRequest
    assert request.request_status == "pending_auth" and request.redirect_url.startswith(BASE)
    with urllib.request.urlopen(request.redirect_url) as page:
        assert page.status == 200
    request = provisioning.provider_connection_requests.retrieve(request.id)
    assert request.request_status == "complete" and request.provider_connection.status == "active"
    connections = list(provisioning.provider_connections.list({"limit": 5}).auto_paging_iter())
    assert len(connections) == 13 and request.provider_connection.id in {c.id for c in connections}
    assert provisioning.resources.create(wanted).status == "complete"
    assert provisioning.provider_connections.unlink(request.provider_connection.id).status == "expired"


def limit(provider):
    limits = {"currency": "usd", "max_amount": 2500, "recurring_interval": "month"}
    profile = provisioning.payment_profile.update_limit({"provider": provider.id, "usage_limits": limits})
    assert type(profile) is stripe.v2.provisioning.PaymentProfile
    read = provisioning.payment_profile.retrieve()
    mine = next(shared for shared in read.providers if shared.provider == provider.id)
    assert mine.usage_limits.max_amount == 2500, "an integer for the caller, a string on the wire"
    assert '"max_amount":"2500"' in read.last_response.body
    asked = provisioning.payment_method_requests.create({"usage_limits": limits})
    assert type(asked) is stripe.v2.provisioning.PaymentMethodRequest and asked.status == "checkout_initiated"


def resource(project, provider, service):
    wanted = {
        "provider": provider.id,
        "service_ref": service.service_id,
        "configuration": {"plan": "pro"},
        "project": project.id,
        "name": "memory",
        "environment": "dev",
    }
    once = {"idempotency_key": "provision:proj_0123456789abcdef01234567"}
    made = provisioning.resources.create(wanted, once)
    assert type(made) is stripe.v2.provisioning.Resource
    assert (made.status, made.provider, made.service_ref, made.name) == ("complete", provider.id, "memory", "memory")
    again = provisioning.resources.create(wanted, once)
    assert again.id == made.id and again.last_response.headers["Idempotent-Replayed"] == "true"
    refused(stripe.IdempotencyError, lambda: provisioning.resources.create({**wanted, "name": "x"}, once), 400)

    def reveal():
        return provisioning.resources.reveal_access_configuration(made.id)

    assert provisioning.resources.retrieve(made.id).status == "complete"
    first = reveal()
    assert type(first) is stripe.v2.provisioning.ResourceAccessConfiguration
    assert first.resource == made.id and set(first.configuration.to_dict()) == {"API_KEY", "PROJECT_ID"}
    assert reveal().configuration["API_KEY"] == first.configuration["API_KEY"]
    assert provisioning.resources.rotate_credentials(made.id).status == "complete"
    assert reveal().configuration["API_KEY"] != first.configuration["API_KEY"]
    assert provisioning.resources.update(made.id, {"configuration": {"plan": "max"}}).id == made.id

    fault(f"POST {API}/resources", "needs_information")
    asked = provisioning.resources.create(wanted)
    assert asked.status == "needs_information" and asked.needs_information_schema["required"] == ["company_name"]
    told = {"submitted_information": {"company_name": "x"}}
    assert provisioning.resources.submit_information(asked.id, told).status == "complete"
    assert provisioning.resources.unlink(asked.id).id == asked.id
    linked = provisioning.resources.link({"provider": provider.id, "service_ref": "memory", "project": project.id})
    assert linked.status == "complete"
    return made, wanted


def weather(made, wanted):
    """The library's own retries get through, and what happened twice happened once."""
    patient = client(retries=2).v2.provisioning
    for name in ["drop_before", "drop_after", "error_before", "error_after", "conflict", "rate_limited"]:
        key = {"idempotency_key": f"weather-{name}"}
        fault(f"POST {API}/resources", name)
        if name == "rate_limited":  # which this library leaves to its caller
            refused(stripe.RateLimitError, lambda: patient.resources.create(wanted, key), 429)
        got = patient.resources.create(wanted, key)
        assert got.status == "complete", name
        replayed = got.last_response.headers.get("Idempotent-Replayed") == "true"
        assert replayed == name.endswith("_after"), name
        assert patient.resources.create(wanted, key).id == got.id
    fault(f"POST {API}/resources/{{id}}/rotate_credentials", "pending", polls=1)
    assert provisioning.resources.rotate_credentials(made.id).status == "pending"
    look = lambda: provisioning.resources.retrieve(made.id).status
    assert [look(), look()] == ["pending", "complete"]


def errors(made, wanted):
    create = lambda: provisioning.resources.create(wanted)
    on = f"POST {API}/resources"
    refused(stripe.AuthenticationError, lambda: client("nonsense").v2.provisioning.eligibility.retrieve(), 401)
    old = {"stripe_version": "2025-01-01"}
    refused(stripe.InvalidRequestError, lambda: provisioning.eligibility.retrieve(None, old), 400)
    error = refused(stripe.InvalidRequestError, lambda: provisioning.resources.create({"provider": "x"}), 400)
    assert error.param == "service_ref"
    missing = lambda: provisioning.resources.retrieve("fres_none")
    refused(stripe.InvalidRequestError, missing, 404, "resource_missing")
    wrong = {**wanted, "configuration": {"plan": "gold"}}
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
        fault(on, name)
        refused(kind, create, status)
    fault(on, "errored")
    errored = create()
    assert errored.status == "errored" and errored.error_message
    fault(on, "unknown_status")
    assert create().status == "reticulating"
    refused(
        stripe.InvalidRequestError,
        lambda: provisioning.resources.reveal_access_configuration(errored.id),
    )


def end(made):
    assert provisioning.resources.remove(made.id).status == "removed"
    assert provisioning.resources.remove(made.id).status == "removed"
    assert provisioning.resources.retrieve(made.id).status == "removed"
    gone = lambda: provisioning.resources.rotate_credentials(made.id)
    refused(stripe.InvalidRequestError, gone, 404, "resource_missing")


def speed(made):
    """One connection that is kept alive, without the library around it."""
    import http.client

    connection = http.client.HTTPConnection(BASE.removeprefix("http://"))
    headers = {"Authorization": "Bearer rk_test_x", "Stripe-Version": stripe.api_version}
    times = []
    for _ in range(1000):
        before = time.perf_counter()
        connection.request("GET", f"{API}/resources/{made.id}", headers=headers)
        answer = connection.getresponse()
        answer.read()
        times.append(time.perf_counter() - before)
        assert answer.status == 200
    return statistics.median(times) * 1e6


project = eligibility_and_project()
provider, service = catalog()
connection()
limit(provider)
made, wanted = resource(project, provider, service)
weather(made, wanted)
errors(made, wanted)
median = speed(made)
end(made)
print(f"Stripe's library {stripe.VERSION} agrees; GET /resources/{{id}} takes {median:.0f} µs (median of 1000)")
