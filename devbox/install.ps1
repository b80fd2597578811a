<#
Installs the devboxgpu command for everybody on this machine. Run as administrator, by a Dev Box customization task.
A second run updates the command and changes nothing else that is as it should be.
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory = $true)] [string] $Endpoint,
    [Parameter(Mandatory = $true)] [string] $Project,
    [string] $Tenant = '',
    [string] $ClientId = '',
    [string] $GpuTypes = '',
    [string] $Package = 'devboxgpu',
    [string] $Python = 'Python.Python.3.12'
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$Folder = Join-Path $env:ProgramFiles 'DevBoxGPU'
$Environment = Join-Path $Folder 'python'
$Bin = Join-Path $Folder 'bin'
$Settings = Join-Path $env:ProgramData 'DevBoxGPU'

function Invoke-Checked {
    param([string] $Program, [string[]] $Words)
    & $Program @Words
    if ($LASTEXITCODE -ne 0) {
        throw "$Program $($Words -join ' ') failed with exit code $LASTEXITCODE"
    }
}

function Find-Python {
    foreach ($version in '3.13', '3.12', '3.11') {
        $found = & py "-$version" -c 'import sys; print(sys.executable)' 2>$null
        if ($LASTEXITCODE -eq 0 -and $found) {
            return $found
        }
    }
    return $null
}

function Get-Python {
    if (Get-Command py -ErrorAction SilentlyContinue) {
        $found = Find-Python
        if ($found) {
            return $found
        }
    }
    Invoke-Checked winget @('install', '--id', $Python, '--exact', '--scope', 'machine', '--silent',
        '--accept-package-agreements', '--accept-source-agreements') | Out-Host
    $machinePath = [Environment]::GetEnvironmentVariable('Path', 'Machine')
    $env:Path = "$machinePath;$env:SystemRoot"
    $found = Find-Python
    if (-not $found) {
        throw "Python 3.11 or newer was not found after installing $Python"
    }
    return $found
}

# Everybody may make folders and files in ProgramData. Ours decides who is asked for tokens: what somebody else has put
# there is refused, and from now on administrators alone write in it.
function Protect-Settings {
    $administrators = 'S-1-5-32-544'
    $system = 'S-1-5-18'
    $users = 'S-1-5-32-545'
    if (Test-Path -LiteralPath $Settings) {
        $there = @(Get-Item -Force -LiteralPath $Settings) + @(Get-ChildItem -Force -Recurse -LiteralPath $Settings)
        foreach ($item in $there) {
            $owner = (Get-Acl -LiteralPath $item.FullName).GetOwner([Security.Principal.SecurityIdentifier]).Value
            if ($owner -notin $administrators, $system) {
                throw "$($item.FullName) was put there by $owner, who is no administrator: look at it and take it away"
            }
        }
    }
    New-Item -ItemType Directory -Force -Path $Settings | Out-Null
    Invoke-Checked icacls @($Settings, '/setowner', "*$administrators", '/Q')
    Invoke-Checked icacls @($Settings, '/inheritance:r', '/grant:r', "*${administrators}:(OI)(CI)F",
        "*${system}:(OI)(CI)F", "*${users}:(OI)(CI)RX", '/Q')
}

function Add-ToMachinePath {
    $present = [Environment]::GetEnvironmentVariable('Path', 'Machine')
    if (($present -split ';') -notcontains $Bin) {
        [Environment]::SetEnvironmentVariable('Path', "$($present.TrimEnd(';'));$Bin", 'Machine')
    }
}

$interpreter = Join-Path $Environment 'Scripts\python.exe'
if (-not (Test-Path -LiteralPath $interpreter)) {
    Invoke-Checked (Get-Python) @('-m', 'venv', $Environment)
}
Invoke-Checked $interpreter @('-m', 'pip', 'install', '--upgrade', '--disable-pip-version-check', $Package)

# A folder with the command alone goes on the PATH: the environment's own folder would bring its Python along.
New-Item -ItemType Directory -Force -Path $Bin | Out-Null
$command = Join-Path $Bin 'devboxgpu.exe'
Copy-Item -Force -LiteralPath (Join-Path $Environment 'Scripts\devboxgpu.exe') -Destination $command
Add-ToMachinePath
Protect-Settings

$words = @('install', '--machine', '--yes', '--endpoint', $Endpoint, '--project', $Project)
if ($Tenant) { $words += @('--tenant', $Tenant) }
if ($ClientId) { $words += @('--client-id', $ClientId) }
if ($GpuTypes) { $words += @('--gpu-types', $GpuTypes) }
Invoke-Checked $command $words
