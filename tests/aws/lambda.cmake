# SPDX-License-Identifier: Apache-2.0
# The functions of the far side, and for each test the planted bugs that it has to find.
foreach(test kpl payload consumer transform authorizer proxy kcl fleet)
    runnel_aws_test(${test} test_${test}.py)
    runnel_aws_test(${test}-control controls.py ${test})
endforeach()

# The fleet's SQL; with a count behind each hour it takes long.
runnel_aws_test(fleet-view test_fleet_view.py)
add_test(NAME aws/fleet-view-hours
    COMMAND ${RUNNEL_PYTHON} -B ${CMAKE_CURRENT_SOURCE_DIR}/test_fleet_view.py --every-hour)
set_tests_properties(aws/fleet-view-hours PROPERTIES LABELS sweep TIMEOUT 600 SKIP_RETURN_CODE 77)
