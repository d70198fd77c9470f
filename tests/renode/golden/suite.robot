*** Comments ***
a_model_____Settings____ on NUCLEO-L4R5ZI, by tinydeploy VERSION: renode-test nucleo_l4r5zi.robot
Each test boots firmware.elf, loads a golden input over the serial port, runs the model within a
ceiling of virtual time, and compares every byte of its outputs. Requests and replies are frames of
tinydeploy's wire protocol; their bytes are in golden_N_*.resc and below.

*** Settings ***
Library             OperatingSystem

*** Variables ***
${UART}             sysbus.lpuart1
# Seconds of virtual time, at 4 million instructions a second.
${BOOT}             0.5
${CEILING}          0.13

*** Keywords ***
Boot Firmware
    Execute Script      ${CURDIR}/nucleo_l4r5zi.resc
    ${wire}=            Allocate Temporary File
    Set Test Variable   ${WIRE}    ${wire}
    Execute Command     ${UART} CreateFileBackend @${wire} true
    Execute Command     emulation RunFor "${BOOT}"

Send Requests
    [Arguments]         ${script}    ${seconds}    ${bytes}
    Execute Script      ${CURDIR}/${script}
    Execute Command     emulation RunFor "${seconds}"
    ${size}=            Get File Size    ${WIRE}
    Should Be Equal As Integers    ${size}    ${bytes}    ${script}: replies after ${seconds} s of virtual time, in bytes

Outputs Should Contain
    [Arguments]         ${frame}
    ${told}=            Get Binary File    ${WIRE}
    ${due}=             Convert To Bytes    ${frame}    hex
    Should Contain      ${told}    ${due}    the outputs differ from the model's    values=False

*** Test Cases ***
Golden Input 0
    Boot Firmware
    Send Requests       golden_0_load.resc    0.091    118
    Send Requests       golden_0_run.resc    ${CEILING}    137
    Send Requests       golden_0_read.resc    0.021    155
    Outputs Should Contain    0002860201020501010280067ff9021f9000

Golden Input 1
    Boot Firmware
    Send Requests       golden_1_load.resc    0.091    118
    Send Requests       golden_1_run.resc    ${CEILING}    137
    Send Requests       golden_1_read.resc    0.021    155
    Outputs Should Contain    0002860201020501010280067ff9021f9000
