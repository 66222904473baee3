"""Keys with a shape of their own, as their providers publish it, and as secret scanners know it.

A prefix that nothing else has makes a marker; lengths are least lengths where a provider has lengthened keys before.
"""

from __future__ import annotations

import re

from km_client.redaction import plausible
from km_client.redaction.pattern import SecretPattern, shaped

_UUID = rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"


def _random(match: re.Match[bytes]) -> bool:
    """With a digit, and not the name of something: `hf_transformers_model_name` is none."""
    return plausible.is_random(match.group(), bits=2.0)


def _long_random(match: re.Match[bytes]) -> bool:
    return plausible.is_random(match[match.lastgroup or 0], length=20, bits=3.5)


CLOUDS: tuple[SecretPattern, ...] = (
    shaped("kilometers_key", "km_", rb"km_(?:live|test|ci|inst)_[0-9A-Za-z]{36}"),
    shaped("aws_key", "akia asia abia acca", rb"A(?:KIA|SIA|BIA|CCA)[0-9A-Z]{16}(?![0-9A-Za-z])"),
    # The secret half, where a spreadsheet or a log has it beside the key's id.
    shaped(
        "aws_key",
        "akia asia",
        rb"A[KS]IA[0-9A-Z]{16}(?:[\s,:;|]|\\+[nrt\"]|[\"']){1,8}(?P<secret>[0-9A-Za-z/+]{40})(?![0-9A-Za-z/+=])",
    ),
    shaped("google_key", "aiza", rb"AIza[\w-]{35}"),
    shaped("google_key", "ya29.", rb"ya29\.[\w-]{20,}+"),
    shaped("google_key", "gocspx-", rb"GOCSPX-[\w-]{28}"),
    shaped("google_key", "1//0", rb"1//0[\w-]{40,}+", _random),
    # Entra ID: three letters, a digit, `Q~`.
    SecretPattern("azure_key", (b"q~",), re.compile(rb"[\w.~]{3}[0-9]Q~[\w.~-]{31,34}(?![\w~])"), _random, 4),
    shaped("alibaba_key", "ltai", rb"LTAI[0-9A-Za-z]{12,20}(?![0-9A-Za-z])"),
    shaped("digitalocean_token", "dop_v1_ doo_v1_ dor_v1_", rb"do[opr]_v1_[0-9a-f]{64}"),
    shaped("fly_token", "fo1_ fm1r_ fm1a_ fm2_", rb"(?:fo1_[\w-]{43}|fm(?:1[ar]|2)_[0-9A-Za-z+/]{100,}+={0,3})"),
    shaped("heroku_key", "hrku-", rb"HRKU-[\w-]{36,}+"),
    shaped("cloudflare_key", "v1.0-", rb"v1\.0-[0-9a-f]{24}-[0-9a-f]{146}"),
    shaped("yandex_key", "aqvn", rb"AQVN[\w-]{35,38}", _random),
    shaped("tencent_key", "akid", rb"AKID[0-9A-Za-z]{32}(?![0-9A-Za-z])", _random),
    shaped("scalingo_token", "tk-us-", rb"tk-us-[\w-]{48}"),
    shaped("supabase_token", "sbp_ sb_secret_", rb"sb(?:p|_secret)_[\w-]{31,}+", _random),
    shaped("planetscale_token", "pscale_tkn_ pscale_oauth_ pscale_pw_", rb"pscale_(?:tkn|oauth|pw)_[\w=.-]{32,}+"),
    shaped("vault_token", "hvs. hvb. hvr.", rb"hv[sbr]\.[\w-]{24,}+", _random),
    shaped("terraform_token", ".atlasv1.", rb"[0-9A-Za-z]{14}\.atlasv1\.[\w=-]{60,}+", back=14),
    shaped("openshift_token", "sha256~", rb"sha256~[\w-]{43}"),
    shaped("databricks_token", "dapi", rb"dapi[0-9a-f]{32}(?:-[0-9])?(?![0-9a-f])"),
    shaped("pulumi_token", "pul-", rb"pul-[0-9a-f]{40}(?![0-9a-f])"),
    shaped("doppler_token", "dp.", rb"dp\.(?:pt|st|ct|scim|audit)\.(?:[\w-]{2,35}\.)?[0-9A-Za-z]{40,44}"),
    shaped(
        "onepassword_token", "ops_eyj a3-", rb"ops_eyJ[0-9A-Za-z+/]{100,}+={0,3}|A3-[0-9A-Z]{6}(?:-[0-9A-Z]{5,11}){4,5}"
    ),
    shaped("age_key", "age-secret-key-", rb"AGE-SECRET-KEY-(?:PQ-)?1[0-9A-Z]{58,}+"),
)

CODE: tuple[SecretPattern, ...] = (
    shaped(
        "github_token",
        "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_",
        rb"(?:gh[pousr]_[0-9A-Za-z]|github_pat_\w)\w{20,}+",
    ),
    shaped(
        "gitlab_token",
        "glpat- gldt- glrt- glcbt- glptt- glft- glimt- glagent- gloas- glsoat- glffct- gr1348941",
        rb"(?:gl(?:pat|dt|rt|rtr|cbt|ptt|ft|imt|agent|oas|soat|ffct)-|GR1348941)[\w-]{20,}+(?:\.[0-9a-z.]{7,})?",
    ),
    shaped("bitbucket_token", "atbb", rb"ATBB[0-9A-Za-z]{24,}+(?:=[0-9A-F]{8})?", _random),
    shaped("atlassian_token", "atatt3 atctt3", rb"AT[AC]TT3[\w=-]{60,}+"),
    shaped("npm_token", "npm_", rb"npm_[0-9A-Za-z]{36}"),
    shaped("pypi_token", "pypi-agei", rb"pypi-AgEI[\w-]{50,}+"),
    shaped("rubygems_token", "rubygems_", rb"rubygems_[0-9a-f]{48}"),
    shaped("clojars_token", "clojars_", rb"CLOJARS_[0-9a-z]{60}"),
    shaped("crates_token", "cio", rb"cio[0-9A-Za-z]{32}(?![0-9A-Za-z])", _long_random),
    shaped("nuget_key", "oy2", rb"oy2[0-9a-z]{43}(?![0-9a-z])", _random),
    shaped("docker_token", "dckr_pat_ dckr_oat_", rb"dckr_[po]at_[\w-]{27,}+"),
    shaped("artifactory_token", "akcp cmvmd", rb"AKCp[0-9A-Za-z]{69}|cmVmd[0-9A-Za-z]{59}"),
    shaped("circleci_token", "ccipat_ ccip", rb"CCIP(?:AT|RJ)_[0-9A-Za-z]{22}_[0-9a-f]{40}"),
    shaped("buildkite_token", "bkua_", rb"bkua_[0-9a-f]{40}"),
    shaped("sourcegraph_token", "sgp_", rb"sgp_(?:(?:[0-9a-fA-F]{16}|local)_)?[0-9a-fA-F]{40}"),
    shaped("sonar_token", "sqp_ squ_ sqa_", rb"sq[pua]_[0-9a-f]{40}"),
    shaped("postman_key", "pmak-", rb"PMAK-[0-9a-f]{24}-[0-9a-f]{34}"),
    shaped("octopus_key", "api-", rb"API-[0-9A-Z]{26,32}(?![0-9A-Za-z])", _random),
    shaped("prefect_key", "pnu_ pnb_", rb"pn[ub]_[0-9A-Za-z]{36}"),
    shaped("netlify_token", "nfp_ nfc_ nfo_ nfb_ nfu_", rb"nf[pcobu]_[0-9A-Za-z]{36}"),
    shaped(
        "vercel_token",
        "vcp_ vci_ vca_ vcr_ vck_ vercel_blob_rw_",
        rb"(?:vc[piark]|vercel_blob_rw)_[0-9A-Za-z_]{24,}+",
        _random,
    ),
    shaped("sentry_token", "sntrys_ sntryu_", rb"sntry(?:s_eyJ[\w+/=-]{60,}+|u_[0-9a-f]{64})"),
    shaped(
        "grafana_token",
        "glsa_ glc_ eyjrijoi",
        rb"glsa_[0-9A-Za-z]{32}_[0-9A-Fa-f]{8}|glc_[0-9A-Za-z+/]{32,}+={0,3}|eyJrIjoi[0-9A-Za-z+/]{60,}+={0,3}",
    ),
    shaped("newrelic_key", "nrak- nrii- nrjs- nrra- nraa-", rb"NR(?:AK|II|JS|RA|AA)-[0-9A-Za-z_-]{19,}+", _random),
    shaped("dynatrace_token", "dt0c01. dt0s16. dt0s01.", rb"dt0[a-z][0-9]{2}\.[0-9A-Z]{24}\.[0-9A-Z]{64}"),
    shaped("launchdarkly_key", "api- sdk- mob-", rb"(?:api|sdk|mob)-" + _UUID),
    shaped("readme_key", "rdme_", rb"rdme_[0-9a-z]{70}"),
)

SERVICES: tuple[SecretPattern, ...] = (
    shaped("api_key", "sk-", rb"sk-(?=[A-Za-z_-]{0,64}[0-9])[\w-]{20,}+", _random),
    shaped("hugging_face_token", "hf_ api_org_", rb"(?:hf|api_org)_[A-Za-z0-9]{30,}+"),
    shaped("groq_key", "gsk_", rb"gsk_[0-9A-Za-z]{40,}+"),
    shaped("replicate_token", "r8_", rb"r8_[0-9A-Za-z]{37,}+"),
    shaped("perplexity_key", "pplx-", rb"pplx-[0-9A-Za-z]{40,}+"),
    shaped("xai_key", "xai-", rb"xai-[0-9A-Za-z]{60,}+"),
    shaped("tavily_key", "tvly-", rb"tvly-(?:dev-|prod-)?[0-9A-Za-z-]{24,}+", _random),
    shaped("langsmith_key", "lsv2_", rb"lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}"),
    shaped("pinecone_key", "pcsk_", rb"pcsk_\w{40,}+"),
    shaped("slack_token", "xox xapp-", rb"(?:xox[a-z](?:\.xox[a-z])?|xapp)-[\w-]{10,}+"),
    shaped(
        "stripe_key",
        "sk_live_ sk_test_ rk_live_ rk_test_ sk_prod_ rk_prod_ whsec_",
        rb"(?:[sr]k_(?:live|test|prod)|whsec)_[\w+/=]{10,}+",
    ),
    shaped("twilio_key", "sk", rb"SK[0-9a-f]{32}(?![0-9A-Za-z])"),
    shaped("sendgrid_key", "sg.", rb"SG\.[\w-]{16,32}\.[\w-]{32,64}"),
    shaped("mailgun_key", "key-", rb"key-[0-9a-f]{32}(?![0-9a-f])"),
    shaped("sendinblue_key", "xkeysib- xsmtpsib-", rb"x(?:keysib|smtpsib)-[0-9a-f]{64}-[0-9A-Za-z]{16}"),
    shaped("mailchimp_key", "-us", rb"[0-9a-f]{32}-us[0-9]{1,2}(?![0-9A-Za-z])", back=32),
    shaped("maxmind_key", "_mmk", rb"[0-9A-Za-z]{6}_[0-9A-Za-z]{29}_mmk(?![0-9A-Za-z])", back=36),
    SecretPattern(
        "telegram_token", (b":aa",), re.compile(rb"(?<=[0-9]{8}):(?P<secret>AA[\w-]{32,33})(?![\w-])"), _long_random
    ),
    shaped("shopify_token", "shpat_ shpca_ shppa_ shpss_ shpua_", rb"shp(?:at|ca|pa|ss|ua)_[0-9a-fA-F]{32}"),
    shaped("linear_key", "lin_api_ lin_oauth_", rb"lin_(?:api|oauth)_[0-9A-Za-z]{32,}+"),
    shaped("notion_token", "ntn_ secret_", rb"ntn_[0-9A-Za-z]{40,}+|secret_[0-9A-Za-z]{43}(?![0-9A-Za-z])", _random),
    shaped("airtable_token", "pat", rb"pat[0-9A-Za-z]{14}\.[0-9a-f]{64}"),
    shaped("figma_token", "figd_ figu_", rb"fig[du]_[\w-]{30,}+"),
    shaped("asana_token", "1/", rb"[0-2]/[0-9]{16}(?:/[0-9]{16})?:[0-9a-f]{32}"),
    shaped("dropbox_token", "sl.", rb"sl\.(?:u\.)?[\w=-]{100,}+", _random),
    shaped("facebook_token", "eaac eaam eaag eaaa", rb"EAA[ACGM][0-9A-Za-z]{80,}+"),
    shaped("square_token", "sq0atp- sq0csp- eaaa", rb"sq0(?:atp|csp)-[\w-]{22,}+|EAAA[\w-]{56,}+", _random),
    shaped("paypal_token", "access_token$", rb"access_token\$(?:production|sandbox)\$[0-9a-z]{16}\$[0-9a-f]{32}"),
    shaped(
        "plaid_token",
        "access-sandbox- access-development- access-production-",
        rb"access-(?:sandbox|development|production)-" + _UUID,
    ),
    shaped("easypost_key", "ezak eztk", rb"EZ[AT]K[0-9A-Za-z]{54}"),
    shaped("shippo_token", "shippo_", rb"shippo_(?:live|test)_[0-9a-fA-F]{40}"),
    shaped("duffel_token", "duffel_", rb"duffel_(?:test|live)_[\w=-]{43}"),
    shaped("frameio_token", "fio-u-", rb"fio-u-[\w=-]{64}"),
    shaped("adobe_key", "p8e-", rb"p8e-[0-9a-zA-Z-]{32}(?![0-9A-Za-z])", _random),
    shaped("typeform_token", "tfp_", rb"tfp_[\w.=-]{40,}+", _random),
    shaped("flutterwave_key", "flwseck", rb"FLWSECK(?:_TEST)?-[0-9a-zA-Z]{12,}+(?:-X)?"),
    shaped("contentful_token", "cfpat-", rb"CFPAT-[\w-]{43}"),
    shaped("intra42_token", "s-s4t2", rb"s-s4t2(?:ud|af)-[0-9a-f]{64}"),
    shaped("settlemint_token", "sm_aat_ sm_pat_ sm_sat_", rb"sm_[aps]at_[0-9A-Za-z]{16}"),
    shaped("jwt", "eyj", rb"(?<![_-])eyJ[\w-]{8,}+\.[\w-]{8,}+\.[\w-]*+(?:\.[\w-]++){0,2}"),
)

PATTERNS = CLOUDS + CODE + SERVICES
