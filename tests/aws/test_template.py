#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
platform/aws/template.yaml, for every choice of its parameters (variants.py): what belongs together,
who may do what, and that nothing is there for nothing. checks.py says what a check is.
"""
import json
import pathlib
import re
import unittest

import checks
import columns
import variants
from checks import TEXT, listed, of_type, statements, walk
from variants import cfn

LAMBDA = variants.TEMPLATE.parent / "lambda"
RECORDS = [json.loads(line) for line in
           (pathlib.Path(__file__).parent / "records.jsonl").read_text("utf-8").splitlines()]


def destinations(template):
    """Firehose's configuration of S3 as its destination."""
    return [one["ExtendedS3DestinationConfiguration"]
            for _, one in of_type(template, "AWS::KinesisFirehose::DeliveryStream")
            if "ExtendedS3DestinationConfiguration" in one]


def check_references(template):
    """Every Ref, Fn::Sub and Fn::GetAtt is to what there is: cfn.py resolves no other template."""
    if not template["Resources"]:
        yield "nothing"


def check_conversion(template):
    """Conversion and partitioning want large buffers, conversion no compression but its own."""
    for one in destinations(template):
        converts = one.get("DataFormatConversionConfiguration", {}).get("Enabled")
        partitions = one.get("DynamicPartitioningConfiguration", {}).get("Enabled")
        if converts and one["CompressionFormat"] != "UNCOMPRESSED":
            yield "converted, and compressed once more"
        if (converts or partitions) and int(one["BufferingHints"]["SizeInMBs"]) < 64:
            yield "a buffer below 64 MiB"


def check_prefixes(template):
    """Expressions in a prefix want an error prefix that says what went wrong, without keys."""
    for where, one in walk(template["Resources"]):
        if "!{" not in str(one.get("Prefix", "")):
            continue
        errors = one.get("ErrorOutputPrefix", "")
        if "!{firehose:error-output-type}" not in errors or "partitionKey" in errors:
            yield f"{where}: ErrorOutputPrefix {errors!r}"


def check_partitions(template):
    """The keys in the prefix are those that some processor gives, and the table's."""
    for one in destinations(template):
        processors = {each["Type"]: {each["ParameterName"]: each["ParameterValue"]
                                     for each in each["Parameters"]}
                      for each in one.get("ProcessingConfiguration", {}).get("Processors", [])}
        query = processors.get("MetadataExtraction", {}).get("MetadataExtractionQuery", "")
        given = {"Query": re.findall(r"[{,](\w+):", query),
                 "Lambda": ["year", "month", "day", "hour"] if "Lambda" in processors else []}
        for source, key in re.findall(r"!{partitionKeyFrom(\w+):(\w+)}", one["Prefix"]):
            if key not in given[source]:
                yield f"nothing gives {key} from {source}"
        names = re.findall(r"(\w+)=!", one["Prefix"])
        lake = template["Resources"]["LakeTable"]["Properties"]["TableInput"]
        if names != [key["Name"] for key in lake["PartitionKeys"]]:
            yield f"the table has no partitions {names}"
        is_event = "partitionKey" in one["Prefix"]
        if is_event != ("RecordDeAggregation" in processors):
            yield "records of many lines are not taken apart before they are partitioned"
        ends = [name for name in ("Lambda", "AppendDelimiterToRecord") if name in processors]
        if is_event and len(ends) != 1:
            yield f"lines of records taken apart are ended {len(ends)} times: {ends}"


# What is worked out of records has columns of its own.
WORKED_OUT = ("MinutesTable", "HealthTable", "RetiredTable", "FleetView")


def check_columns(template):
    """Every record that runnel renders fits, also with a channel that nobody has seen before."""
    for name, table in of_type(template, "AWS::Glue::Table"):
        for record in RECORDS if name not in WORKED_OUT else []:
            why = columns.misfit_of(record, table)
            if why:
                yield f"{name}: {why}"


def _target_of(template, method):
    """What a method's integration puts records into: (action, resource's ARN)."""
    integration = method["Integration"]
    found = re.search(r":(kinesis|firehose):action/(\w+)$", integration["Uri"])
    if not found:
        return "lambda:InvokeFunction", re.search(r"functions/(.*)/inv", integration["Uri"])[1]
    service, action = found.groups()
    body = next(iter(integration["RequestTemplates"].values()))
    name = re.search(r'"(?:Delivery)?StreamName":"([^"]+)"', body)[1]
    shape = "stream" if service == "kinesis" else "deliverystream"
    return f"{service}:{action}", f"arn:aws:{service}:eu-west-1:123456789012:{shape}/{name}"


def _allowed(template, role_arn):
    """(action, resource) of all that the role of ROLE_ARN allows, but for the use of the key."""
    role = template["Resources"][role_arn.rsplit("/", 1)[1]]["Properties"]
    for policy in role["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            for action in listed(statement["Action"]):
                if action != "kms:GenerateDataKey":
                    yield action, statement["Resource"]


def check_integrations(template):
    """Each integration's role allows exactly its action, on exactly its target."""
    for name, method in of_type(template, "AWS::ApiGateway::Method"):
        allowed = list(_allowed(template, method["Integration"]["Credentials"]))
        if allowed != [_target_of(template, method)]:
            yield f"{name}: may {allowed}"


def check_replies(template):
    """A service's refusal stays one: 2xx alone is 200, throttling is 429 or 503."""
    for name, method in of_type(template, "AWS::ApiGateway::Method"):
        integration = method["Integration"]
        if integration["Type"] == "AWS_PROXY":
            continue
        replies = {one.get("SelectionPattern"): one for one in integration["IntegrationResponses"]}
        for status in ("200", "400", "403", "500", "503", "302"):
            one = next((reply for pattern, reply in replies.items()
                        if pattern and re.fullmatch(pattern, status)), replies.get(None))
            if one is None or (one["StatusCode"] == "200") != (status == "200"):
                yield f"{name}: {status} becomes {one and one['StatusCode']}"
            elif status != "200" and "responseOverride.status = " not in str(one):
                yield f"{name}: throttling ({status}) does not show"
        if integration.get("PassthroughBehavior") != "NEVER":
            yield f"{name}: passes what no template is for"


def check_methods(template):
    """Who may and what may come in is checked by every method, and the deployment has them all."""
    by_auth = template["Parameters"]["ApiAuth"]
    for name, method in of_type(template, "AWS::ApiGateway::Method"):
        if (method["AuthorizationType"] == "NONE") != (by_auth == "api-key"):
            yield f"{name}: {method['AuthorizationType']} for {by_auth}"
        if method["ApiKeyRequired"] != (by_auth == "api-key"):
            yield f"{name}: ApiKeyRequired {method['ApiKeyRequired']}"
        is_json = "LinesMethod" not in name
        if is_json != ("RequestValidatorId" in method and "RequestModels" in method):
            yield f"{name}: the body is not checked"
    for _, deployment in of_type(template, "AWS::ApiGateway::Deployment"):
        for name, _ in of_type(template, "AWS::ApiGateway::Method"):
            if name not in deployment["Description"]:
                yield f"the deployment does not wait for {name}"


def check_public(template):
    """The bucket is nobody's but the account's, and by TLS alone."""
    for name, bucket in of_type(template, "AWS::S3::Bucket"):
        block = bucket.get("PublicAccessBlockConfiguration", {})
        if [str(block.get(one)) for one in ("BlockPublicAcls", "BlockPublicPolicy",
                                            "IgnorePublicAcls", "RestrictPublicBuckets")] != \
                ["True"] * 4:
            yield f"{name} can be made public"
        if "AccessControl" in bucket or "WebsiteConfiguration" in bucket:
            yield f"{name} is made public"
    policies = [statement for _, one in of_type(template, "AWS::S3::BucketPolicy")
                for statement in one["PolicyDocument"]["Statement"]]
    if not any(one["Effect"] == "Deny" and one["Principal"] == "*" and
               one["Condition"] == {"Bool": {"aws:SecureTransport": "false"}} for one in policies):
        yield "the bucket takes requests without TLS"
    if any(one["Effect"] == "Allow" for one in policies):
        yield "the bucket's own policy lets somebody in"


# Where IAM knows no narrower resource; a key's policy means the key itself.
ANY_RESOURCE = ("cloudwatch:PutMetricData",)


def check_wildcards(template):
    """No action is a pattern; no resource is anything, nobody is everybody."""
    for where, one in statements(template):
        if one["Effect"] != "Allow":
            continue
        is_key = where.startswith("/Key/")
        actions = listed(one["Action"])
        if any("*" in action for action in actions) or "NotAction" in one:
            yield f"{where}: {actions}"
        if "*" in listed(one.get("Resource", [])) and not is_key and \
                not (set(actions) <= set(ANY_RESOURCE) and "Condition" in one):
            yield f"{where}: {actions} on anything"
        if one.get("Principal") == "*" and "aws:SourceVpce" not in str(one.get("Condition")) and \
                not where.startswith("/ApiEndpoint/"):
            yield f"{where}: anybody"


def check_gateway(template):
    """Its place in the bucket and its configuration are its thing's; its certificate gets keys."""
    for name, one in of_type(template, "AWS::IoT::Policy"):
        actions = [listed(statement["Action"]) for statement in one["PolicyDocument"]["Statement"]]
        if actions != [["iot:AssumeRoleWithCertificate"]]:
            yield f"{name}: {actions}"
    for where, one in statements(template):
        if where.startswith("/GatewayRole/") and "s3:PutObject" in listed(one["Action"]) and \
                not one["Resource"].endswith("/raw/${credentials-iot:ThingName}/*"):
            yield f"{where}: {one['Resource']}"
        if where.startswith("/GatewayRole/") and "s3:GetObject" in listed(one["Action"]) and \
                not one["Resource"].endswith(":::fleet/${credentials-iot:ThingName}.json"):
            yield f"{where}: {one['Resource']}"


def check_functions(template):
    """Every function is there, and knows each variable that it is given."""
    for name, one in of_type(template, "AWS::Lambda::Function"):
        module, function = one["Handler"].split(".")
        file = LAMBDA / f"{module}.py"
        if one["Code"] != "lambda/":
            yield f"{name}: code in {one['Code']}"
        if not LAMBDA.is_dir():
            continue
        text = file.read_text("utf-8") if file.is_file() else ""
        if not re.search(rf"^(def {function}\(|{function} = )", text, re.MULTILINE):
            yield f"{name}: there is no {one['Handler']}"
        for variable in one.get("Environment", {}).get("Variables", {}):
            if not re.search(rf"\b{variable}\b", text):
                yield f"{name}: {module}.py does not know {variable}"


def check_flink(template):
    """The job gets the properties that it reads, and its table has the columns that it writes."""
    for name, one in of_type(template, "AWS::KinesisAnalyticsV2::Application"):
        given = {group["PropertyGroupId"]: group["PropertyMap"] for group in
                 one["ApplicationConfiguration"]["EnvironmentProperties"]["PropertyGroups"]}
        text = (variants.TEMPLATE.parent / "flink/job.py").read_text("utf-8")
        if set(re.findall(r'properties\["(\w+)"\]', text)) != set(given["runnel"]):
            yield f"{name}: gives {sorted(given['runnel'])}"
        written = re.search(r"CREATE TABLE minutes \((.*?)\n\)", text, re.DOTALL)[1]
        table = template["Resources"]["MinutesTable"]["Properties"]["TableInput"]
        columns_of = [column["Name"] for column in
                      table["StorageDescriptor"]["Columns"] + table["PartitionKeys"]]
        if re.findall(r"^ +`?(\w+)", written, re.MULTILINE) != columns_of:
            yield f"{name}: writes other columns than {columns_of}"


def check_limits(template):
    """What AWS limits and no specification says."""
    if len(template["Resources"]) > 500:
        yield "more than 500 resources"
    for name, one in of_type(template, "AWS::IoT::Policy"):
        if len(json.dumps(one["PolicyDocument"])) > 2048:
            yield f"{name}: more than 2,048 characters"
    for name, one in of_type(template, "AWS::CloudWatch::Dashboard"):
        if len(json.loads(one["DashboardBody"])["widgets"]) < 4:
            yield f"{name}: hardly any widget"
    for name, one in of_type(template, "AWS::ApiGateway::Stage"):
        if "AccessLogSetting" in one:
            json.loads(one["AccessLogSetting"]["Format"])


CHECKS = {
    check_references: [
        ("OUTPUT_BUCKET: !Ref Bucket", "OUTPUT_BUCKET: !Ref Buckets"),
        ("Resource: !Sub ${Bucket.Arn}/minutes/*", "Resource: !Sub ${Buckets.Arn}/minutes/*"),
        ("Credentials: !GetAtt ApiLambdaInvokeRole.Arn", "Credentials: !GetAtt ApiInvokeRole.Arn"),
        ("DependsOn: [FirehosePolicy]", "DependsOn: [LakeTable]"),
        ("DEAD_LETTERS: !Ref DeadLetters", "DEAD_LETTERS: !Ref UserPool")],
    check_conversion: [
        ("CompressionFormat: !If [Converts, UNCOMPRESSED, GZIP]", "CompressionFormat: GZIP"),
        ('- Assert: !Contains [["64", "96", "128"], !Ref FirehoseBufferMiB]',
         '- Assert: !Contains [["32", "64", "96", "128"], !Ref FirehoseBufferMiB]')],
    check_prefixes: [
        ("ErrorOutputPrefix: errors/!{firehose:error-output-type}/", "ErrorOutputPrefix: errors/")],
    check_partitions: [
        ("{year:.ts[0:4],", "{yearr:.ts[0:4],"), ("lake/year=!{timestamp", "lake/jahr=!{timestamp"),
        ("- Type: RecordDeAggregation", "- Type: Decompression"),
        ("- Type: AppendDelimiterToRecord", "- Type: CloudWatchLogProcessing"),
        ("""                    - HasTransform
                    - !Ref AWS::NoValue
                    - Type: AppendDelimiterToRecord""", """                    - BacksUp
                    - !Ref AWS::NoValue
                    - Type: AppendDelimiterToRecord""")],
    check_columns: [
        ('{Name: values, Type: "map<string,double>"', '{Name: values, Type: "struct<temp:double>"'),
        ('"map<string,double>"', '"map<string,bigint>"'),
        ("- {Name: time_quality,", "- {Name: timequality,"), ("reason:string>", "why:string>"),
        ('- {Name: data, Type: string,', '- {Name: data, Type: "map<string,string>",')],
    check_integrations: [
        ("{Effect: Allow, Action: kinesis:PutRecords, Resource: !GetAtt Stream.Arn}",
         "{Effect: Allow, Action: [kinesis:PutRecords, kinesis:PutRecord], "
         "Resource: !GetAtt Stream.Arn}"),
        ("Credentials: !GetAtt ApiFirehosePutRecordRole.Arn",
         "Credentials: !GetAtt ApiFirehosePutRecordBatchRole.Arn"),
        ("kinesis:action/PutRecords", "kinesis:action/PutRecord")],
    check_replies: [
        ("""- {StatusCode: "200", SelectionPattern: '2\\d{2}'}""", '- {StatusCode: "200"}'),
        ("#set($context.responseOverride.status = 429)", ""),
        ("PassthroughBehavior: NEVER", "PassthroughBehavior: WHEN_NO_MATCH")],
    check_methods: [
        ("api-key: {Type: NONE}", "api-key: {Type: AWS_IAM}"),
        ("iam: {Type: AWS_IAM}", "iam: {Type: NONE}"),
        ("ApiKeyRequired: !If [KeyAuth, true, false]", "ApiKeyRequired: false"),
        ("RequestValidatorId: !Ref BodyValidator", "OperationName: unchecked"),
        ("!Ref FirehoseArrayMethod, ", "")],
    check_public: [
        ("RestrictPublicBuckets: true", "RestrictPublicBuckets: false"),
        ('aws:SecureTransport: "false"', 'aws:SecureTransport: "true"'),
        ('Effect: Deny\n            Principal: "*"', 'Effect: Allow\n            Principal: "*"')],
    check_wildcards: [
        ("Action: [s3:DeleteObject, s3:PutObject]", 'Action: ["s3:*"]'),
        ("Resource: !GetAtt Identities.Arn", 'Resource: "*"'),
        ("aws:SourceVpce: ", "aws:UserAgent: ")],
    check_gateway: [
        ("raw/${!credentials-iot:ThingName}/*", "raw/*"),
        ("${ConfigBucket}/${!credentials-iot:ThingName}.json", "${ConfigBucket}/*"),
        ("Action: iot:AssumeRoleWithCertificate",
         "Action: [iot:AssumeRoleWithCertificate, iot:Connect]")],
    check_functions: [("Code: lambda/", "Code: src/")],
    check_flink: [("stream: !GetAtt Stream.Arn", "river: !GetAtt Stream.Arn"),
                  ("{Name: greatest, Type: double}", "{Name: most, Type: double}")],
    check_limits: [('"widgets":[\n', '"panels":[\n')],
}


class Checks(checks.Planted, unittest.TestCase):
    """Every check over every set, its planted bugs, and what the sets reach."""

    CHECKS = CHECKS

    def test_forms(self):
        """In every form of every resource, conversion and prefixes are as they must be; the control
        is a buffer that only a combination of two has."""
        def found(text):
            for name, one in variants.each_resource(cfn.parse(text)):
                template = {"Resources": {name: one}}
                yield from check_conversion(template)
                yield from check_prefixes(template)

        self.assertEqual(list(found(TEXT)), [])
        planted = TEXT.replace("SizeInMBs: !Ref FirehoseBufferMiB", "SizeInMBs: !If [ByEvent, "
                               "!If [BacksUp, 32, !Ref FirehoseBufferMiB], 64]", 1)
        self.assertEqual(set(found(planted)), {"a buffer below 64 MiB"})

    def test_reach(self):
        """The sets have each condition both ways and each resource at least once."""
        conditions, resources = {}, set()
        for _, result in self.resolved:
            resources |= set(result["Resources"])
            for name, value in result["Conditions"].items():
                conditions.setdefault(name, set()).add(value)
        self.assertEqual(resources, set(self.template["Resources"]))
        self.assertEqual([name for name, seen in conditions.items() if len(seen) < 2], [])

    def test_refusals(self):
        """What no set can have, a rule refuses in its own words; each rule refuses something."""
        said = set()
        for pair in self.refused:
            said |= set(variants.refusals(self.template, dict(pair)))
        alone = ({"Api": "private", "VpcId": ""}, {"StreamMode": "none", "Firehose": "none"},
                 {"Flink": "on", "FlinkCodeKey": ""},
                 {"FirehoseTo": "opensearch", "OpenSearchDomainArn": ""},
                 {"FirehoseTo": "redshift", "RedshiftJdbcUrl": "", "RedshiftSecretArn": ""},
                 {"FirehoseTo": "http", "HttpUrl": "", "HttpSecretArn": ""},
                 {"Transform": "on", "TransformFlatten": "on", "FirehoseFormat": "orc"})
        for given in alone:
            said |= set(variants.refusals(self.template, given))
        declared = {one["AssertDescription"] for rule in self.template["Rules"].values()
                    for one in rule["Assertions"]}
        self.assertEqual(said, declared)


class Source(unittest.TestCase):
    """The template as it is written."""

    def test_limits(self):
        """CloudFormation's own."""
        template = cfn.parse(TEXT)
        self.assertLess(len(TEXT.encode()), 1 << 20)
        self.assertLessEqual(len(template["Parameters"]), 200)
        self.assertLessEqual(len(template["Outputs"]), 200)

    def unused(self, template):
        """Parameters, conditions and mappings that nothing refers to."""
        text = json.dumps({key: value for key, value in template.items() if key != "Metadata"})
        for name in template["Parameters"]:
            if f'"Ref": "{name}"' not in text and f"${{{name}}}" not in text:
                yield name
        for name in template["Conditions"]:
            if not re.search(rf'"(?:Condition|Fn::If)": \[?"{name}"', text):
                yield name
        for name in template["Mappings"]:
            if f'"Fn::FindInMap": ["{name}"' not in text:
                yield name

    def test_unused(self):
        """Nothing is there for nothing; the control is a parameter that is."""
        template = cfn.parse(TEXT)
        self.assertEqual(list(self.unused(template)), [])
        template["Parameters"]["Idle"] = {"Type": "String"}
        self.assertEqual(list(self.unused(template)), ["Idle"])

    def test_groups(self):
        """The console's groups have every parameter once."""
        template = cfn.parse(TEXT)
        groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        names = [name for group in groups for name in group["Parameters"]]
        self.assertEqual(sorted(names), sorted(template["Parameters"]))


if __name__ == "__main__":
    unittest.main()
