# SPDX-License-Identifier: Apache-2.0
# The functions of the far side, and for each test the planted bugs that it has to find.
foreach(test kpl payload consumer transform authorizer proxy kcl fleet)
    runnel_aws_test(${test} test_${test}.py)
    runnel_aws_test(${test}-control controls.py ${test})
endforeach()
