"""OpenTelemetry export: MCP calls as spans and duration histograms, sent to an OTLP/HTTP endpoint.

    stored event ──▶ half of a call ──▶ both halves: a span, a histogram ──▶ a frozen request body ──▶ the endpoint

Off until `KM_OTLP_ENDPOINT` is set. Each arrow is one transaction, and what is sent was written down first, byte for
byte: a crash at any instant leads to the same bytes being sent, never to other ones and never to none. Span ids are
derived, so even a body that arrives twice, its answer having been lost, is the same spans again.
"""
