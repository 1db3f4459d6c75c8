#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tests/tools/cfn.py against what CloudFormation's reference says of each function."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import cfn  # noqa: E402

TEMPLATE = """
Parameters:
  Mode: {Type: String, AllowedValues: [small, large], Default: small}
  Places: {Type: CommaDelimitedList, Default: "a,b"}
  Count: {Type: Number, MinValue: 1, MaxValue: 9, Default: 3}
Rules:
  NotMany:
    RuleCondition: !Equals [!Ref Mode, small]
    Assertions:
      - {Assert: !Contains [["1", "2", "3"], !Ref Count], AssertDescription: small is up to 3}
Mappings:
  Sizes: {small: {Type: t1}, large: {Type: t9}}
Conditions:
  Large: !Equals [!Ref Mode, large]
  Either: !Or [!Condition Large, !Equals [!Ref Count, 4]]
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: !Sub "${AWS::StackName}-${Mode}-${!literal}"
      KmsMasterKeyId: !If [Large, key, !Ref AWS::NoValue]
      Tags: [!If [Large, {Key: a, Value: b}, !Ref AWS::NoValue], {Key: c, Value: !Ref Count}]
  Big:
    Type: AWS::SNS::Topic
    Condition: Large
  Other:
    Type: AWS::SQS::Queue
    DependsOn: [Queue]
    Properties:
      Size: !FindInMap [Sizes, !Ref Mode, Type]
      First: !Select [0, !Ref Places]
      Joined: !Join ["-", !Split [".", "x.y"]]
      Arn: !GetAtt Queue.Arn
      Url: !Sub ["${Q}/${Queue.QueueUrl}", {Q: !Ref Queue}]
Outputs:
  Topic: {Condition: Large, Value: !Ref Big}
"""


def resolved(text=TEMPLATE, **given):
    """The template TEXT with the parameters GIVEN."""
    return cfn.resolve(cfn.parse(text), given)


class Functions(unittest.TestCase):
    """What is there, and what it says."""

    def test_small(self):
        """A false condition takes away resources, outputs, properties and elements."""
        result = resolved()
        self.assertEqual(list(result["Resources"]), ["Queue", "Other"])
        self.assertEqual(result["Outputs"], {})
        queue = result["Resources"]["Queue"]["Properties"]
        self.assertEqual(queue, {"QueueName": "telemetry-small-${literal}",
                                 "Tags": [{"Key": "c", "Value": "3"}]})

    def test_large(self):
        """A true one leaves them."""
        result = resolved(Mode="large", Count="9")
        self.assertEqual(result["Conditions"], {"Large": True, "Either": True})
        self.assertEqual(result["Outputs"]["Topic"]["Value"],
                         "arn:aws:sns:eu-west-1:123456789012:Big")
        self.assertEqual(result["Resources"]["Queue"]["Properties"]["KmsMasterKeyId"], "key")

    def test_numbers(self):
        """CloudFormation compares texts."""
        self.assertFalse(resolved()["Conditions"]["Either"])
        self.assertTrue(resolved(TEMPLATE.replace("Count, 4", "Count, 3"))["Conditions"]["Either"])

    def test_functions(self):
        """Each function once."""
        other = resolved()["Resources"]["Other"]
        self.assertEqual(other["DependsOn"], ["Queue"])
        name = "telemetry-small-${literal}"
        self.assertEqual(other["Properties"], {
            "Size": "t1", "First": "a", "Joined": "x-y",
            "Arn": f"arn:aws:sqs:eu-west-1:123456789012:{name}", "Url": f"{name}/Queue.QueueUrl"})


class Faults(unittest.TestCase):
    """What CloudFormation would refuse."""

    def refused(self, why, text=TEMPLATE, **given):
        """The fault's text has WHY in it."""
        with self.assertRaises(cfn.Fault) as caught:
            resolved(text, **given)
        self.assertIn(why, str(caught.exception))

    def test_parameters(self):
        """Names, values and ranges."""
        self.refused("no such parameter: Moode", Moode="small")
        self.refused("none of small, large", Mode="medium")
        self.refused("out of range", Count="10")

    def test_rules(self):
        """A rule's own words, and only under its condition."""
        self.refused("small is up to 3", Count="4")
        self.assertTrue(resolved(Mode="large", Count="4")["Conditions"]["Either"])

    def test_references(self):
        """To nothing, to what a condition leaves out, and to no condition."""
        self.refused("Queu, which there is not",
                     TEMPLATE.replace("!GetAtt Queue.", "!GetAtt Queu."))
        self.refused("Big, which is left out",
                     TEMPLATE.replace("{Q: !Ref Queue}", "{Q: !Ref Big}"))
        self.refused("Big, which is left out", TEMPLATE.replace("[Queue]", "[Big]"))
        self.refused("no such condition: Larg",
                     TEMPLATE.replace("Condition: Large\n", "Condition: Larg\n"))
        self.refused("twice in one mapping", TEMPLATE.replace("      First:", "      Size:"))


if __name__ == "__main__":
    unittest.main()
